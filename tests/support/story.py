"""Fixtures of tests that are one story: what they say appears at once, and again in the summary."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

Note = Callable[[str], None]


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Note:
    """Prints at once: some steps take minutes."""
    plugins = pytestconfig.pluginmanager
    reporter, capture = (plugins.get_plugin(n) for n in ("terminalreporter", "capturemanager"))

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(text)

    return write


@pytest.fixture
def note(record_property: Callable[[str, object], None], say: Note) -> Note:
    """Keeps a line for the summary, with the seconds of the test so far."""
    started = time.monotonic()

    def keep(text: str) -> None:
        line = f"{time.monotonic() - started:5.0f} s  {text}"
        record_property("score", line)
        say(f"    {line}")

    return keep
