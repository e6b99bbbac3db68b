"""Which Java is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import StackError
from runtime import java
from settings import Settings
from tests.support.stand_ins import fake_java


def test_java_17_of_java_home_comes_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_java(tmp_path, "17", "exit 0")
    monkeypatch.setenv("JAVA_HOME", str(fake.home))

    found = java.find_java(settings)

    assert found.executable == fake.executable
    assert java.java_environment(found) == {"JAVA_HOME": str(fake.home)}


def test_wrong_java_is_reported_and_passed_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake_java(tmp_path / "old", "1.8", "exit 0")
    right = fake_java(tmp_path / "right", "17", "exit 0")
    monkeypatch.setenv("JAVA_HOME", str(old.home))
    monkeypatch.setenv("PATH", f"{right.executable.parent}:/usr/bin:/bin")
    lines: list[str] = []

    found = java.find_java(settings, lines.append)

    assert found.executable == right.executable
    assert len(lines) == 1
    assert "is Java 8; Millrace needs 17" in lines[0]


def test_where_there_is_no_pip_the_message_names_another_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.java.PathFinder.find_spec", lambda name: None)

    with pytest.raises(StackError, match=r"`cqlsh==6` cannot be installed: this Python has no pip"):
        java.install_wheel("cqlsh==6")
