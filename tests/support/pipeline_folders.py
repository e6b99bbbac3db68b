"""Folders of pipelines for tests: the example of orders, with changes."""

from __future__ import annotations

import shutil
from pathlib import Path

from settings import PROJECT_ROOT

EXAMPLES = PROJECT_ROOT / "examples"
CONTRACT, DECLARATION = "contract.schema.json", "pipeline.py"
CQL, SQL = "tables.cql", "tables.sql"
# File, text in it, and what takes its place.
Edit = tuple[str, str, str]


def orders(place: Path, *edits: Edit, name: str = "orders") -> Path:
    """A copy of the example `orders` in `place`, with each edit made at its first match."""
    folder = place / name
    shutil.copytree(EXAMPLES / "orders", folder)
    for file, old, new in edits:
        text = (folder / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (folder / file).write_text(text.replace(old, new, 1))
    return folder
