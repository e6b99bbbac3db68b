"""The image's layers: downloads that repeat, what is left out, the same input gives the same."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pyarrow
import pytest

from settings import PROJECT_ROOT
from tests.support.containers import COMPOSE_FILE, compose, run_of, stages

STAGES = stages()
SITE = Path(pyarrow.__file__).parent.parent
MODULES_READ = (
    "import json, sys, runtime.jars; print(json.dumps([m.__file__ for m in sys.modules.values()"
    " if getattr(m, '__file__', None)]))"
)


def sources(stage: str) -> list[str]:
    """What a stage takes from the checkout."""
    copied = [shlex.split(rest) for name, rest in STAGES[stage] if name == "COPY"]
    return [source for words in copied if "--from" not in words[0] for source in words[:-1]]


def test_a_change_of_code_repeats_no_download() -> None:
    assert sources("packages") == [
        "pyproject.toml",
        "requirements.lock",
        "local_stack/bootstrap.py",
    ]
    assert sources("jars") == ["errors.py", "settings.py", "runtime"]
    assert sources("code") == ["."]
    layers = [rest for name, rest in STAGES["image"] if name == "COPY"]
    assert [re.findall(r"--from=(\w+)", layer)[0] for layer in layers] == [
        "java", "packages", "jars", "code",
    ]  # fmt: skip
    # A change of these files repeats the step, but not what was downloaded by the one before.
    assert "--mount=type=cache,target=/var/cache/pip " in run_of("packages", "bootstrap.py")
    assert "--mount=type=cache,target=/var/cache/ivy " in run_of("jars", '"runtime.jars"')


def test_download_of_jars_reads_nothing_else_of_the_code() -> None:
    said = subprocess.run(
        [sys.executable, "-c", MODULES_READ],
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    read = [Path(file) for file in json.loads(said)]
    ours = {
        file.relative_to(PROJECT_ROOT).parts[0]
        for file in read
        if file.is_relative_to(PROJECT_ROOT) and ".venv" not in file.parts
    }

    assert {"settings.py", "runtime"} <= ours <= {"errors.py", "settings.py", "runtime"}


def test_code_of_a_private_checkout_is_readable_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "spark_jobs").mkdir(mode=0o700)
    for name, mode in (("settings.py", 0o600), ("spark_jobs/a.py", 0o640), ("run", 0o700)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)

    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1795824000"}
    command = ["sh", "-c", run_of("code", "chmod")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)

    found = {path.name: path.stat() for path in tmp_path.rglob("*")}
    assert {name: oct(each.st_mode & 0o777) for name, each in found.items()} == {
        "settings.py": "0o644", "a.py": "0o644", "run": "0o755", "spark_jobs": "0o755",
    }  # fmt: skip
    assert {each.st_mtime for each in found.values()} == {1795824000.0}


@pytest.mark.parametrize("stage", ["packages", "jars", "code", "image"])
def test_files_of_every_stage_have_a_fixed_time(stage: str) -> None:
    last = [rest for name, rest in STAGES[stage] if name == "RUN"][-1]

    assert ("ARG", "SOURCE_DATE_EPOCH") in STAGES[stage]
    assert '--date="@${SOURCE_DATE_EPOCH}"' in last
    built = compose()["services"]["prepare"]["build"]
    (default,) = re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", dockerfile_of(built), re.MULTILINE)
    assert built["args"]["SOURCE_DATE_EPOCH"] == default
    # ZIP archives, such as the one that ships the code to executors, begin in 1980.
    assert int(default) > 315_532_800


def dockerfile_of(build: dict[str, str]) -> str:
    return (COMPOSE_FILE.parent / build["context"] / build["dockerfile"]).read_text()


def test_what_is_removed_is_there_and_no_library_needs_it() -> None:
    command = run_of("packages", "rm -r")
    removed = shlex.split(command.partition("rm -r pip ")[2].partition(" && ")[0])
    arrow = [name for name in removed if name.startswith("pyarrow/*")]
    gone = {path.name for pattern in arrow for path in SITE.glob(pattern)}

    # A package that moved its parts would make the build fail.
    assert [name for name in removed if name != "pip-*.dist-info" and not [*SITE.glob(name)]] == []
    assert gone
    for library in (SITE / "pyarrow").glob("*.so*"):
        if library.name not in gone:
            content = library.read_bytes()
            needed = [name for name in gone if f"\0{name}\0".encode() in content]
            assert needed == [], f"{library.name} needs {needed}"


def test_jars_that_spark_has_too_are_there_once(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / "runtime").symlink_to(PROJECT_ROOT / "runtime")
    spark = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "pyspark" / "jars"
    ours, s3 = tmp_path / "jars" / "spark", tmp_path / "jars" / "s3"
    for folder, jars in (
        (spark, {"hadoop.jar": "h", "other.jar": "3.1"}),
        (ours, {"hadoop.jar": "h", "other.jar": "3.2", "driver.jar": "d", "log.jar": "l"}),
        (s3, {"hadoop.jar": "h", "log.jar": "l"}),
    ):
        folder.mkdir(parents=True)
        for name, content in jars.items():
            (folder / name).write_text(content)
    with zipfile.ZipFile(s3 / "aws-java-sdk-bundle-1.jar", "w") as bundle:
        bundle.writestr("com/amazonaws/services/ec2/AmazonEC2.class", "")
    (tmp_path / "jars" / ".spark.lock").touch()

    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1795824000"}
    command = ["sh", "-c", run_of("jars", "trim_aws.py")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)

    links = {path: path.resolve() for f in (ours, s3) for path in f.iterdir() if path.is_symlink()}
    assert links == {
        ours / "hadoop.jar": spark / "hadoop.jar",
        s3 / "hadoop.jar": spark / "hadoop.jar",
        s3 / "log.jar": ours / "log.jar",
    }
    # The same name with another content is another version.
    assert (ours / "other.jar").read_text() == "3.2"
    assert zipfile.ZipFile(s3 / "aws-java-sdk-bundle-1.jar").namelist() == []
    assert not (tmp_path / "jars" / ".spark.lock").exists()


def test_image_says_what_it_is() -> None:
    (labels,) = [rest for name, rest in STAGES["image"] if name == "LABEL"]
    said = dict(word.split("=", 1) for word in shlex.split(labels))
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]

    prefix = "org.opencontainers.image"
    assert said[f"{prefix}.version"] == project["version"]
    assert said[f"{prefix}.description"] == project["description"]
    assert said[f"{prefix}.licenses"] == project["license"]
    assert said[f"{prefix}.authors"] == project["authors"][0]["name"]
    base = said[f"{prefix}.base.name"].removeprefix("docker.io/library/")
    assert f"\nFROM {base}\n" in dockerfile_of(compose()["services"]["prepare"]["build"])
    # It differs with each commit: nothing that takes time comes after it.
    names = [name for name, _ in STAGES["image"]]
    assert names[names.index("LABEL") - 1 :] == ["ARG", "LABEL"]


def test_no_container_leaves_a_volume_without_a_name_behind() -> None:
    assert [rest for name, rest in STAGES["image"] if name == "VOLUME"] == []


def test_progress_of_the_jars_is_shown_at_once() -> None:
    program = (
        "import os, runtime.jars as jars\n"
        "def ensure(settings, groups, report): report('jars: downloading'); os._exit(0)\n"
        "jars.ensure_jars = ensure\n"
        "jars.main(['spark'])\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip

    # The process has ended without writing what it held back.
    assert said == "jars: downloading\n"
