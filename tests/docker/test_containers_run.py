"""docker/ on a Docker engine: built, started, loaded, killed, restarted, upgraded, removed.

The tests are one story in the order of the file: each takes over what the one before has left.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from settings import PROJECT_ROOT
from tests.docker.compose_stack import IMAGE, LABEL, PROJECT, ComposeStack
from tests.docker.engine import Engine, OwnEngine
from tests.docker.images import layers_of
from tests.support.containers import COMPOSE_FILE, DOCKERFILE, compose, copy_context, own_services
from tests.support.processes import wait_for
from tests.support.story import Note

pytestmark = pytest.mark.timeout(3600)

BEFORE = "millrace-test:before"
GIGABYTE = 1_000_000_000
# What a checkout may hold that no layer may: a user's settings, the folder of state.
PLANTED = b"a-key-that-belongs-into-no-layer"
PLACES = (".env", "runtime/.env", ".millrace/secrets/pii_hash_key")
RESTART_SECONDS = 300


def build(engine: Engine, context: Path, tag: str) -> list[str]:
    """Build the image from a folder; gives the digests of its layers."""
    dockerfile = context / DOCKERFILE.relative_to(PROJECT_ROOT)
    epoch = own_services()["prepare"]["build"]["args"]["SOURCE_DATE_EPOCH"]
    engine.docker(
        "build", "--quiet", "--file", str(dockerfile), "--tag", tag,
        "--build-arg", f"SOURCE_DATE_EPOCH={epoch}", str(context), seconds=1500,
    )  # fmt: skip
    layers: list[str] = inspected(engine, tag)["RootFS"]["Layers"]
    return layers


def inspected(engine: Engine, image: str) -> dict[str, Any]:
    (found,) = json.loads(engine.docker("image", "inspect", image))
    return found


def lay_context(folder: Path, umask: int) -> Path:
    """A checkout made under a umask, with a key where users have theirs."""
    before = os.umask(umask)
    try:
        copy_context(folder)
        for path in (DOCKERFILE, PROJECT_ROOT / ".dockerignore"):
            target = folder / path.relative_to(PROJECT_ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for place in PLACES:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(PLANTED)
    finally:
        os.umask(before)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & ~umask)
    return folder


def test_image_is_built_alike_whatever_the_umask_of_the_checkout(
    engine: Engine, stand_ins: list[str], tmp_path: Path, note: Note
) -> None:
    note(engine.versions())
    note(f"stand-ins: {', '.join(stand_ins) or 'none'}")
    usual = build(engine, lay_context(tmp_path / "usual", 0o022), IMAGE)
    note("image built")
    private = build(engine, lay_context(tmp_path / "private", 0o077), "millrace-test:private")
    note("image built from a checkout under umask 077")

    assert private == usual
    said = engine.docker("run", "--rm", "--read-only", "--network=none", IMAGE)
    assert said.startswith("usage: millrace")


def test_image_is_small_has_no_root_and_holds_no_secret(
    stack: ComposeStack, engine: Engine, tmp_path: Path, note: Note
) -> None:
    image = inspected(engine, IMAGE)
    secrets = {p.read_bytes().strip() for p in stack.secrets.rglob("*") if p.is_file()} | {PLANTED}
    archive = tmp_path / "image.tar"
    engine.docker("save", "--output", str(archive), IMAGE)
    names: set[str] = set()
    with tarfile.open(archive) as whole:
        for layer in layers_of(whole):
            with tarfile.open(fileobj=whole.extractfile(layer)) as files:
                for file in files:
                    names.add(file.name)
                    content = files.extractfile(file).read() if file.isfile() else b""
                    assert not any(secret in content for secret in secrets), file.name
    archive.unlink()

    assert len(secrets) >= 6
    assert image["Size"] < 1.2 * GIGABYTE
    assert image["Config"]["User"] == "10001:10001"
    # Newer engines leave it out.
    assert image["Config"].get("Volumes") is None
    assert image["Config"]["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert "opt/millrace/settings.py" in names
    assert not [n for n in names if n.startswith("opt/millrace/") and n.endswith((".env", "_key"))]
    note(f"image of {image['Size'] / GIGABYTE:.2f} GB, {len(names)} files, none with a secret")


def test_compose_builds_the_same_image_from_this_checkout(
    stack: ComposeStack, engine: Engine, note: Note
) -> None:
    before = inspected(engine, IMAGE)["RootFS"]["Layers"]

    stack.compose("--profile", "*", "build", seconds=1500)
    note("docker compose build")

    assert inspected(engine, IMAGE)["RootFS"]["Layers"] == before


def test_make_run_on_this_machine_uses_the_containers(stack: ComposeStack, note: Note) -> None:
    def make(*words: str) -> str:
        return stack.engine.run(
            "make", "--directory", str(PROJECT_ROOT), *words, f"PYTHON={sys.executable}",
            seconds=900, **stack.host_environment(),
        )  # fmt: skip

    said = make("run", "TICKETS=300", "PROFILES=100", "CUSTOMERS=100", "SEED=7")
    note("make run with STACK=docker, 500 records")

    assert "Everything is accounted for: 497 messages." in said
    counts = {name: stack.read(name) for name in ("tickets", "profiles", "customers")}
    # Three rows of this seed's file have too many fields, and are not sent.
    assert counts == {"tickets": 300, "profiles": 100, "customers": 97}
    make("down")
    assert stack.ids("ps", "--all") == []
    assert stack.ids("network", "ls") == []
    stack.compose("--profile", "*", "down", "--volumes")
    assert stack.ids("volume", "ls") == []


def test_new_image_continues_on_the_volumes_of_the_commit_before(
    stack: ComposeStack, engine: Engine, tmp_path: Path, note: Note
) -> None:
    commit = os.environ.get("UPGRADE_FROM", "HEAD~1")
    archive = ["git", "archive", "--output", str(tmp_path / "before.tar"), commit]
    done = subprocess.run(archive, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    before = IMAGE if done.returncode else BEFORE
    if done.returncode:
        note(f"no upgrade: git cannot give {commit}: {done.stderr.strip()}")
    else:
        shutil.unpack_archive(tmp_path / "before.tar", tmp_path / "before", filter="data")
        build(engine, tmp_path / "before", BEFORE)
    stack.up("tickets", image=before)
    note(f"profile tickets is up, image of {commit}")
    stack.wait_for_records("tickets")
    stack.up("tickets")
    assert stack.state("job-tickets")["Config"]["Image"] == IMAGE
    stack.wait_for_records("tickets")
    note(f"verified after the upgrade: {stack.prove('tickets')}")


@pytest.mark.parametrize(
    ("service", "process"),
    [("job-tickets", "spark_jobs.tickets"), ("spark-worker", ""), ("cassandra", "")],
    ids=["driver", "worker", "store"],
)
def test_what_is_killed_under_load_comes_back_and_nothing_is_lost_or_doubled(
    stack: ComposeStack, note: Note, service: str, process: str
) -> None:
    stack.wait_for_records("tickets")
    stack.kill(service, process)
    wait_for(lambda: stack.is_healthy(service), RESTART_SECONDS, f"healthy {service}")
    note(f"{service} is healthy after kill -9")
    stack.wait_for_records("tickets")
    wait_for(lambda: stack.is_healthy("job-tickets"), RESTART_SECONDS, "healthy job")
    note(f"verified: {stack.prove('tickets')}")


def test_all_that_ran_runs_again_after_a_restart_of_the_engine(
    stack: ComposeStack, engine: Engine, note: Note
) -> None:
    if not isinstance(engine, OwnEngine):
        pytest.skip("the engine is yours: it is restarted only where the tests have started it")
    running = stack.ids("ps")
    assert len(running) == 8
    engine.end()
    engine.start()
    note("engine restarted")
    wait_for(lambda: set(stack.ids("ps")) == set(running), RESTART_SECONDS, "running containers")
    stack.wait_for_records("tickets")
    note("all containers run and records arrive")
    for service in ("kafka", "cassandra", "mongodb", "spark-worker", "job-tickets"):
        wait_for(lambda s=service: stack.is_healthy(s), RESTART_SECONDS, f"healthy {service}")
    note(f"verified: {stack.prove('tickets')}")


def test_profile_comes_up_alongside_another_one(stack: ComposeStack, note: Note) -> None:
    stack.up("profiles", "monitoring")
    note("profiles `profiles` and `monitoring` are up")
    stack.wait_for_records("profiles", 50)
    wait_for(lambda: '"health":"up"' in targets(stack), 120, "target that Prometheus reads")
    note(f"verified: {stack.prove('tickets', 'profiles')}")
    logs = stack.compose("logs", "--no-log-prefix")
    assert not [
        p for p in stack.secrets.rglob("*") if p.is_file() and p.read_text().strip() in logs
    ]


def targets(stack: ComposeStack) -> str:
    """What Prometheus says of the pages that it reads."""
    page = "http://127.0.0.1:9090/api/v1/targets"
    return stack.compose("exec", "--no-TTY", "prometheus", "wget", "-q", "-O", "-", page)


def test_down_keeps_the_volumes_with_names_and_nothing_else(
    stack: ComposeStack, engine: Engine, note: Note
) -> None:
    stack.compose("--profile", "*", "down")
    note("down")
    names = engine.docker(
        "volume", "ls", f"--filter=label={LABEL}.project={PROJECT}", "--format", "{{.Name}}"
    )

    assert stack.ids("ps", "--all") == []
    assert stack.ids("network", "ls") == []
    declared = {f"{PROJECT}_{name}" for name in compose()["volumes"]}
    assert set(names.split()) == declared - {f"{PROJECT}_postgres-data"}
    stack.compose("--profile", "*", "down", "--volumes")
    assert stack.ids("volume", "ls") == []


def test_records_reach_postgresql_and_s3(stack: ComposeStack, engine: Engine, note: Note) -> None:
    stack.variables |= {
        "SINKS": "cassandra,mongodb,files,postgres", "OUTPUT_PATH": "s3a://millrace/output",
    }  # fmt: skip
    # Its producer ends when the file is sent, which `--wait` takes for a failure.
    stack.up("customers", "postgres", "s3", wait=False)
    wait_for(lambda: stack.is_healthy("job-customers"), RESTART_SECONDS, "healthy job")
    note("profiles `customers`, `postgres` and `s3` are up")
    wait_for(lambda: stack.read("customers") > 0, RESTART_SECONDS, "records")
    note(f"verified: {stack.prove('customers')}")


def test_down_with_volumes_leaves_nothing_behind(
    stack: ComposeStack, engine: Engine, note: Note
) -> None:
    stack.compose("--profile", "*", "down", "--volumes")
    note("down with volumes")

    for listing in (("ps", "--all"), ("network", "ls"), ("volume", "ls")):
        assert stack.ids(*listing) == []
    if isinstance(engine, OwnEngine):
        # Nor one without a name, which no project's label marks.
        assert engine.docker("volume", "ls", "--quiet") == ""
    assert COMPOSE_FILE.is_file()
