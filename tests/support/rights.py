"""Who may read what a command has made."""

from __future__ import annotations

from pathlib import Path


def open_to_others(folder: Path) -> list[str]:
    """Paths of a folder and what is below it that group or others may use, with their modes."""
    found = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    return [f"{mode & 0o777:o} {path}" for path in found if (mode := path.stat().st_mode) & 0o077]
