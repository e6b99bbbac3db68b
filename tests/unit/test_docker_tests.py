"""`make test-docker` where no engine can be had, and what else does not collect its tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from settings import PROJECT_ROOT
from tests.docker import engine
from tests.docker.images import STAND_INS, foreign_images, layers_of


def test_without_an_engine_and_the_means_the_tests_are_skipped_with_a_reason(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/docker"],
        cwd=PROJECT_ROOT,
        # Neither `docker` nor `apt-get`.
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    said = " ".join(done.stdout.split())
    assert "there is no `docker` command on PATH, and none can be started here: that needs" in said
    assert "then run `make test-docker` again" in said
    assert " passed" not in said


@pytest.mark.parametrize(
    ("user", "program", "reason"),
    [(1000, "", "root"), (0, "apt-get", "no `apt-get`"), (0, "go", "no `go`")],
)
def test_what_an_engine_needs_is_named(
    monkeypatch: pytest.MonkeyPatch, user: int, program: str, reason: str
) -> None:
    monkeypatch.setattr(engine, "what_is_missing", lambda: "no Docker engine answers")
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("shutil.which", lambda name: None if name == program else name)

    with pytest.raises(engine.NoEngine, match=reason):
        engine.find_engine(lambda line: None)


def test_an_engine_that_answers_is_used_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "what_is_missing", lambda: None)

    found = engine.find_engine(lambda line: None)

    assert not isinstance(found, engine.OwnEngine)


def test_every_image_of_others_has_a_stand_in() -> None:
    names = {image.rpartition(":")[0].rpartition("/")[2] for image in foreign_images()}

    assert names | {"millrace-stand-in-base"} == {path.name for path in STAND_INS.iterdir()}


def test_only_the_target_of_their_own_runs_the_docker_tests(
    pytestconfig: pytest.Config,
) -> None:
    def commands(target: str) -> str:
        words = ["make", "--dry-run", target]
        return subprocess.run(
            words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
        ).stdout

    assert "tests/docker" in commands("test-docker")
    assert "tests/docker" not in commands("test")
    assert "tests/docker" not in pytestconfig.getini("testpaths")
    assert "tests" not in pytestconfig.getini("testpaths")


@pytest.mark.parametrize("layer", ["1f3c/layer.tar", "blobs/sha256/1f3c"], ids=["24", "25"])
def test_layers_of_a_saved_image_are_found_in_the_files_of_old_and_new_engines(
    tmp_path: Path, layer: str
) -> None:
    manifest = json.dumps([{"Config": "c.json", "RepoTags": [], "Layers": [layer]}]).encode()
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        for name, content in ((layer, b"files"), ("c.json", b"{}"), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

    with tarfile.open(tmp_path / "image.tar") as archive:
        assert layers_of(archive) == [layer]
