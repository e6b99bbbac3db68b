"""The images of compose.yaml and the Dockerfile: pulled, or stand-ins where no registry answers."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from local_stack.cassandra import CONFIGURATION, EXPORTS, FOLDERS, LOGBACK, OPENS
from runtime.jars import ensure_jars, folder
from settings import Settings
from tests.docker.engine import HOME, Engine, OwnEngine
from tests.support.containers import base_images, compose

STAND_INS = Path(__file__).parent / "stand_ins"
BASE = "millrace-stand-in-base:1"
LABEL = "millrace.stand-in"
# The authorities that a Debian machine trusts in addition to the usual ones: builds download too.
AUTHORITIES = Path("/usr/local/share/ca-certificates")
NEED_AUTHORITIES = ("millrace-stand-in-base", "python")
JARS = {"redpanda": "kafka", "cassandra": "cassandra"}
PACKAGES = {"mongo": "secantusdb", "moto": "moto"}

Report = Callable[[str], object]


def foreign_images() -> list[str]:
    """Names of all images that others publish."""
    services = [service["image"] for service in compose()["services"].values()]
    return sorted({name for name in services if not name.startswith("millrace:")} | base_images())


def bring_images(engine: Engine, report: Report) -> list[str]:
    """Bring every image; gives the names of those that are stand-ins.

    Stand-ins have the names of the images that they stand for, so they are built only in an engine
    that the tests have started.
    """
    lacking: list[str] = []
    for image in foreign_images():
        if _is_real(engine, image):
            continue
        # Where one cannot be pulled, nor can the others: asking for each would take minutes.
        if not lacking and not (reason := _cannot_be_pulled(engine, image)):
            continue
        lacking.append(image)
    if not lacking:
        return []
    names = ", ".join(lacking)
    assert isinstance(engine, OwnEngine), (
        f"The engine has no {names}, and pulling failed: {reason}. Pull them first: the tests build"
        " stand-ins under these names only in an engine that they start themselves."
    )
    report(f"docker: stand-ins for {names}, as pulling failed: {reason}")
    for image in (BASE, *lacking):
        _build(engine, image)
    return lacking


def layers_of(archive: tarfile.TarFile) -> list[str]:
    """Names of the layers in an image that `docker save` wrote: from version 25 on, of blobs."""
    manifest = archive.extractfile("manifest.json")
    assert manifest is not None
    [image] = json.load(manifest)
    layers: list[str] = image["Layers"]
    return layers


def _is_real(engine: Engine, image: str) -> bool:
    if not engine.docker("image", "ls", "--quiet", image):
        return False
    labels = json.loads(
        engine.docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    )
    return LABEL not in (labels or {})


def _cannot_be_pulled(engine: Engine, image: str) -> str | None:
    done = subprocess.run(
        ["docker", "pull", "--quiet", image],
        env=engine.variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stderr.strip() if done.returncode else None


def _build(engine: Engine, image: str) -> None:
    name = image.rpartition(":")[0].rpartition("/")[2]
    context = HOME / "context" / name
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(STAND_INS / name, context)
    if name in NEED_AUTHORITIES:
        _copy_authorities(context / "authorities")
    if group := JARS.get(name):
        settings = Settings(_env_file=None)
        ensure_jars(settings, [group])
        shutil.copytree(folder(settings, group), context / "jars")
    if name == "cassandra":
        _write_configuration(context / "configuration")
    # Users in the images are not the owner of the checkout, whose umask decides otherwise.
    subprocess.run(["chmod", "-R", "a+rX", str(context)], check=True)
    version = importlib.metadata.version(PACKAGES[name]) if name in PACKAGES else ""
    engine.docker(
        "build", "--quiet", "--label", f"{LABEL}=yes", "--build-arg", f"VERSION={version}",
        "--tag", image, str(context), seconds=900,
    )  # fmt: skip


def _copy_authorities(target: Path) -> None:
    target.mkdir()
    for path in AUTHORITIES.glob("*.crt"):
        shutil.copy(path, target)


def _write_configuration(target: Path) -> None:
    """Cassandra's files, as the embedded stack has them; the entrypoint adds its address."""
    target.mkdir()
    state = "/var/lib/cassandra"
    folders = {name: f"{state}/{name}" for name in FOLDERS}
    address = {"host": "127.0.0.1", "seeds": "127.0.0.1:7000", "client": 9042, "storage": 7000}
    text = CONFIGURATION.format(**folders, **address)
    (target / "cassandra.yaml").write_text(text)
    (target / "logback.xml").write_text(LOGBACK)
    options = [
        "-Dcassandra.config=file:///tmp/cassandra.yaml",
        f"-Dcassandra.storagedir={state}",
        "-Dlogback.configurationFile=file:///etc/cassandra/logback.xml",
        *("-Dcassandra-foreground=yes", "-Djdk.attach.allowAttachSelf=true"),
        "-XX:+ExitOnOutOfMemoryError",
        *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTS),
        *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENS),
    ]
    (target / "java.options").write_text("\n".join(options) + "\n")
