"""Stand-ins for programs: a service that only sleeps, a `java` that only gives its version."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from local_stack.service import Service
from runtime import java
from runtime.files import last_lines, write_whole


class Sleeper(Service):
    """A service whose process is a Python program of the test's choice; ready after `ready`."""

    name = "sleeper"
    port_setting = "SLEEPER_PORT"
    stop_timeout_seconds = 5
    program = "import time; time.sleep(600)"
    ready = True

    @property
    def port(self) -> int:
        return self.settings.cassandra_port

    @property
    def version(self) -> str:
        return "Sleeper 1"

    def prepare(self, ports: Mapping[str, int]) -> None:
        write_whole(self.data_path / "data", "")

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.program]

    def is_ready(self) -> bool:
        return self.ready


def fake_java(folder: Path, version: str, other: str) -> java.Java:
    """A `java` that tells its version and does `other` when asked for anything else."""
    executable = folder / "jdk" / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -XshowSettings:properties ]; then\n'
        f"  echo '    java.home = {folder}/jdk' >&2\n"
        f"  echo '    java.specification.version = {version}' >&2\n"
        "  exit 0\nfi\n"
        f"{other}\n"
    )
    executable.chmod(0o755)
    return java.Java(folder / "jdk", executable, 17)


def wait_for_line(path: Path, line: str) -> None:
    deadline = time.monotonic() + 10
    while line not in last_lines(path, 5):
        assert time.monotonic() < deadline, f"`{line}` never came"
        time.sleep(0.05)
