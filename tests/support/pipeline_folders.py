"""Folders of pipelines for tests: the example of orders, with changes."""

from __future__ import annotations

import shutil
from pathlib import Path

from operations.check.check import folder_faults
from operations.check.fault import Fault
from operations.check.folder import read_folder
from settings import PROJECT_ROOT, Settings

EXAMPLES = PROJECT_ROOT / "examples"
CONTRACT, DECLARATION = "contract.schema.json", "pipeline.py"
CQL, SQL = "tables.cql", "tables.sql"
# File, text in it, and what takes its place.
Edit = tuple[str, str, str]
# File, place in it, and words that the sentence must have.
Expected = tuple[str, str, str]
KEEP = "keep=\"status <> 'test'\""
DERIVED = 'derived={"created_day": "to_date(created_at)"}'
TABLES = 'tables=(Table("orders.orders"), Table("orders.orders_by_status"))'
BY_STATUS = "((status, created_day), created_at, order_id)"
ORDERS, ORDERS_BY_STATUS = "orders.orders", "orders.orders_by_status"


def orders(place: Path, *edits: Edit, name: str = "orders") -> Path:
    """A copy of the example `orders` in `place`, with each edit made at its first match."""
    folder = place / name
    shutil.copytree(EXAMPLES / "orders", folder)
    for file, old, new in edits:
        text = (folder / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (folder / file).write_text(text.replace(old, new, 1))
    return folder


def declaration(old: str, new: str) -> Edit:
    """An edit of `pipeline.py`."""
    return (DECLARATION, old, new)


def cql(old: str, new: str) -> Edit:
    """An edit of `tables.cql`."""
    return (CQL, old, new)


def sql(old: str, new: str) -> Edit:
    """An edit of `tables.sql`."""
    return (SQL, old, new)


def faults(folder: Path, *others: Path) -> list[Fault]:
    """What `check` finds in a folder without Spark."""
    everything = [read_folder(path) for path in (folder, *others)]
    return list(folder_faults(everything[0], everything, Settings(_env_file=None)))


def assert_expected(found: list[Fault], expected: list[Expected]) -> None:
    """Compare places exactly, in order; notes do not count."""
    faults = [fault for fault in found if not fault.is_note]
    assert [(f.file, f.where) for f in faults] == [place[:2] for place in expected]
    for fault, (_, _, words) in zip(faults, expected, strict=True):
        assert words in fault.text


# Edits with which the second table of orders is divided among three shards.
DECLARED_SHARDS = declaration(
    'Table("orders.orders_by_status")', 'Table("orders.orders_by_status", shards=3)'
)
SHARD_COLUMN = cql("created_day     date,", "created_day     date,\n  shard           int,")
SHARD_IN_KEY = cql(BY_STATUS, "((status, created_day, shard), created_at, order_id)")
