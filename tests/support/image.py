"""The project's image without a container: the same files, packages, variables and powers.

Packages are those of requirements.lock and no others, linked from this environment; the code is
what `.dockerignore` lets through; both are read-only, and whoever runs them is not root.
"""

from __future__ import annotations

import importlib.metadata
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from runtime.java import find_java
from settings import PROJECT_ROOT, Settings
from tests.support.containers import copy_context, image_environment

CODE, STATE, JAVA, SECRETS = (
    "/opt/millrace", "/var/lib/millrace", "/opt/java/openjdk", "/run/secrets",
)  # fmt: skip
NOWHERE = "127.0.0.1:9"
NO_DOWNLOADS = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"


@dataclass
class Image:
    """A folder for each of the image's places, and what stands here for names of the network.

    Names with a colon, such as addresses, are replaced wherever they stand, others as whole words.
    """

    code: Path
    state: Path
    secrets: Path
    java: Path
    names: dict[str, str] = field(default_factory=dict)

    def said_here(self, text: str) -> str:
        """A text of compose.yaml or the Dockerfile with paths and addresses of this machine."""
        places = {
            CODE: str(self.code),
            STATE: str(self.state),
            SECRETS: str(self.secrets),
            JAVA: str(self.java),
        }
        if text in self.names:
            return self.names[text]
        inner = {theirs: ours for theirs, ours in self.names.items() if ":" in theirs}
        for theirs, ours in (places | inner).items():
            text = text.replace(theirs, ours)
        return text

    def environment(self, service: dict[str, Any], **others: str) -> dict[str, str]:
        """All variables of a container of the service, and none of this process."""
        given = image_environment() | service.get("environment", {})
        return (
            {name: self.said_here(value) for name, value in given.items()}
            | {"HOME": str(self.state), "SPARK_LOCAL_IP": "127.0.0.1"}
            # Who wants to download something does not get far.
            | {"HTTPS_PROXY": f"http://{NOWHERE}", "JAVA_TOOL_OPTIONS": NO_DOWNLOADS}
            | others
        )

    def start(
        self, service: dict[str, Any], *more: str, output: Any = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start what the service's container runs, with more arguments."""
        command = [self.said_here(word) for word in service["command"]]
        return subprocess.Popen(
            [*_unprivileged(), *command, *more],
            cwd=self.code,
            env=self.environment(service, **environment),
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, service: dict[str, Any], *more: str, **environment: str) -> str:
        """Run it to its end, which has to be a good one; gives what it said."""
        process = self.start(service, *more, **environment)
        try:
            said, _ = process.communicate(timeout=280)
        finally:
            process.kill()
        assert process.returncode == 0, said[-4000:]
        return said

    def is_healthy(self, service: dict[str, Any]) -> bool:
        """Whether the container's health check passes."""
        kind, *command = service["healthcheck"]["test"]
        assert kind == "CMD"
        check = [self.said_here(word) for word in command]
        environment = self.environment(service)
        return not subprocess.run(
            check, env=environment, capture_output=True, timeout=60, check=False
        ).returncode

    def written(self) -> set[Path]:
        """Files of the code's folder."""
        return set(self.code.rglob("*"))


@contextmanager
def built_image(folder: Path, settings: Settings) -> Iterator[Image]:
    """Build as the Dockerfile does, and take write access away from what is not state."""
    java = find_java(settings)
    image = Image(folder / "code", folder / "state", folder / "secrets", java.home)
    for path in (image.code, image.state, image.secrets):
        path.mkdir()
    copy_context(image.code)
    _make_environment(image.code)
    # The same command as in the Dockerfile, less the jars of S3: 280 MB.
    subprocess.run(
        [str(image.code / ".venv" / "bin" / "python"), "-m", "runtime.jars", "spark"],
        cwd=image.code,
        env=os.environ | {"JARS_PATH": str(image.code / "jars")},
        check=True,
        timeout=280,
    )
    _set_writable(image.code, writable=False)
    try:
        yield image
    finally:
        _set_writable(image.code, writable=True)


def _make_environment(code: Path) -> None:
    """A `.venv` with the packages of requirements.lock; they find the code as in the image."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(code / ".venv")], check=True, timeout=60
    )
    python = code / ".venv" / "bin" / "python"
    (site,) = (code / ".venv" / "lib").glob("python3.*/site-packages")
    for package in _locked():
        _link(package, site, python)
    (site / "millrace.pth").write_text(f"{code}\n")


def locked_pins(environment: dict[str, str] | None = None) -> list[Requirement]:
    """The pins of requirements.lock for these markers of an environment; None: this one."""
    text = (PROJECT_ROOT / "requirements.lock").read_text()
    pins = [Requirement(pin) for pin in re.findall(r"^([a-z0-9-]+==[^\\\n]+)", text, re.MULTILINE)]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]


def _locked() -> list[importlib.metadata.Distribution]:
    """The packages of those pins."""
    wanted = locked_pins()
    packages = [importlib.metadata.distribution(pin.name) for pin in wanted]
    for pin, package in zip(wanted, packages, strict=True):
        assert package.version in pin.specifier, f"{pin} is locked, {package.version} installed"
    return packages


def _link(package: importlib.metadata.Distribution, site: Path, python: Path) -> None:
    for path in package.files or ():
        if path.parts[0] == "..":
            _copy_script(Path(str(path.locate())).resolve(), python)
        elif path.parts[0] != "__pycache__" and not (site / path.parts[0]).exists():
            (site / path.parts[0]).symlink_to(Path(str(package.locate_file(path.parts[0]))))


def _copy_script(source: Path, python: Path) -> None:
    """Copy a script that a package installed next to one interpreter, for use with this one."""
    if source.parent != Path(sys.executable).parent or not source.is_file():
        return
    target = python.with_name(source.name)
    text = source.read_bytes().replace(sys.executable.encode(), str(python).encode())
    target.write_bytes(text)
    target.chmod(0o755)


def _set_writable(folder: Path, *, writable: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o200 if writable else mode & ~0o222)


def _unprivileged() -> list[str]:
    """Takes root's powers away, where this is root and the system lets it."""
    if os.geteuid() or shutil.which("unshare") is None:
        return []
    user = pwd.getpwnam("nobody")
    prefix = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, timeout=30, check=False)
    return [] if probe.returncode else prefix
