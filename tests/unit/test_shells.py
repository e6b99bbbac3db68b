"""The shells of Cassandra and MongoDB: how they are installed and what they open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_stack import shells
from runtime.versions import pinned
from settings import Settings


def test_cqlsh_of_an_older_installation_is_installed_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.millrace_home / "tools" / "cqlsh"
    (folder / "venv").mkdir(parents=True)
    (folder / "installed.txt").write_text(f"{pinned('python', 'cqlsh')[0]} {folder}\n")
    installed: list[Path | None] = []
    monkeypatch.setattr(shells, "install_wheel", lambda _, target: installed.append(target))
    monkeypatch.setattr(shells, "_run", lambda *_: 0)

    shown: list[str] = []

    @contextmanager
    def busy(text: str) -> Iterator[None]:
        assert not installed
        shown.append(text)
        yield

    assert shells.run_cqlsh(settings, None, busy) == 0
    assert shells.run_cqlsh(settings, None, busy) == 0

    assert installed == [folder / "packages"]
    assert shown == ["cqlsh: downloads and installs"]
    assert not (folder / "venv").exists()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://h:1", "mongodb://h:1/millrace"),
        ("mongodb://h:1/", "mongodb://h:1/millrace"),
        ("mongodb://h:1/other?w=1", "mongodb://h:1/millrace?w=1"),
        ("mongodb://h:1?w=1", "mongodb://h:1/millrace?w=1"),
    ],
)
def test_shell_opens_the_database_of_the_settings(uri: str, expected: str) -> None:
    assert shells.with_database(uri, "millrace") == expected
