"""A changed contract or declaration over stored records: safe, needs something, or breaking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations.check.check import check
from settings import Settings
from spark_jobs.registry import load_pipeline
from spark_jobs.start_checks.declaration_change import changes
from spark_jobs.start_checks.declaration_check import check_declaration
from spark_jobs.start_checks.declaration_shape import record_shape, recorded_shape, shape_of
from spark_jobs.state.checkpoint import checkpoint_of
from tests.support.pipeline_folders import (
    BY_STATUS,
    CONTRACT,
    KEEP,
    Edit,
    cql,
    declaration,
    orders,
    sql,
)

NOTE = '"note": {"type": "string", "x-sensitivity": "public"'
EXPRESS = '"express": {'


def contract(old: str, new: str) -> Edit:
    return (CONTRACT, old, new)


CHANGES: dict[str, tuple[list[Edit], list[tuple[str, str]]]] = {
    "nothing": ([contract('"title": "Order",', '"title": "An order",')], []),
    "blanks in SQL": ([declaration("to_date(created_at)", "to_date(created_at) ")], []),
    "new optional field without a column": (
        [contract(EXPRESS, f"{NOTE}}},\n    {EXPRESS}")],
        [("safe", "new optional field `note` without a column")],
    ),
    "new optional field with a column in each table": (
        [
            contract(EXPRESS, f'{NOTE}, "x-column": "note"}},\n    {EXPRESS}'),
            cql("  express         boolean,\n", "  express boolean,\n  note text,\n"),
            sql("  express         boolean,\n", "  express boolean,\n  note text,\n"),
        ],
        [
            ("safe", "new optional field `note` for column `note`"),
            ("needs a column", "`ALTER TABLE orders.orders ADD note text;`"),
            ("needs a column", "`ALTER TABLE orders ADD COLUMN note text;`"),
            ("safe", "column `note` of file set `orders` is new"),
            ("safe", "column `note` of topic `orders-large` is new"),
        ],
    ),
    "new required field": (
        [
            contract('"required": ["order_id",', '"required": ["order_id", "note",'),
            contract(EXPRESS, f"{NOTE}}},\n    {EXPRESS}"),
        ],
        [("breaking", "new field `note` is required; stored records lack it")],
    ),
    "field of another type": (
        [contract('"type": "boolean", "default": false', '"type": "integer", "default": 0')],
        [
            ("breaking", "field `express` was of type boolean and is now integer"),
            ("breaking", "column `express` of file set `orders` was boolean, now bigint"),
        ],
    ),
    "more digits": (
        [contract('"x-precision": 12', '"x-precision": 14')],
        [
            ("breaking", "field `amount` was of type decimal(12,2) and is now decimal(14,2)"),
            ("breaking", "column `amount` of file set `orders` was decimal(12,2), now"),
        ],
    ),
    "another id": (
        [
            contract('"x-id": true, ', ""),
            contract('"type": "string", "maxLength": 40,', '"type": "string", "x-id": true,'),
        ],
        [
            ("breaking", "the id was `order_id` and is now `customer.id`"),
            ("safe", "field `order_id`: `maxLength` 255 was removed"),
            ("safe", "field `customer.id`: `maxLength` is now 255, it was 40"),
        ],
    ),
    "wider limits": (
        [
            contract('"minimum": 0', '"minimum": -100'),
            contract('{"type": "string", "maxLength": 40}', '{"type": "string", "maxLength": 80}'),
            contract('"USD", "GBP"', '"USD", "SEK", "GBP"'),
            contract('"pattern": "^[A-Z]{2}$",', ""),
            contract('"required": ["id", "email"]', '"required": ["id"]'),
        ],
        [
            ("safe", "field `amount`: `minimum` is now -100, it was 0"),
            ("safe", "field `currency`: `enum` gained SEK"),
            ("safe", "field `items`: `maxLength` is now 80, it was 40"),
            ("safe", "field `customer.email`: is now optional"),
            ("safe", "field `customer.country`: `pattern` changed"),
        ],
    ),
    "narrower limits": (
        [
            contract('"minimum": 0', '"minimum": 5'),
            contract('{"type": "string", "maxLength": 40}', '{"type": "string", "maxLength": 9}'),
            contract('"EUR", "USD", "GBP"', '"EUR", "GBP"'),
            contract('"^[A-Z]{2}$"', '"^[A-Z]{3}$"'),
            contract('["id", "email"]', '["id", "email", "country"]'),
        ],
        [
            ("breaking", "field `amount`: `minimum` is now 5, it was 0"),
            ("breaking", "field `currency`: `enum` lost USD"),
            ("breaking", "field `items`: `maxLength` is now 9, it was 40"),
            ("breaking", "field `customer.country`: is now required"),
            ("breaking", "field `customer.country`: `pattern` changed"),
        ],
    ),
    "field that is no longer hashed": (
        [contract('"hashed", "x-normalise": "email"', '"personal"')],
        [("breaking", "field `customer.email` is hashed on one side of the change only")],
    ),
    "another default": (
        [contract('"default": false', '"default": true')],
        [("breaking", "field `express` has another default")],
    ),
    "field that was removed": (
        [
            contract('"express": {\n      "type": "boolean", "default": false,\n'
                     '      "x-sensitivity": "public", "x-column": "express"\n    },\n', ""),
        ],
        [("breaking", "field `express` was removed; stored records have it")],
    ),
    "column that was removed": (
        [cql("  express         boolean,\n", "")],
        [
            ("breaking", "column `express` of table `orders.orders` was removed"),
            ("breaking", "column `express` of file set `orders` was removed"),
            ("breaking", "column `express` of topic `orders-large` was removed"),
        ],
    ),
    "another key": (
        [cql(BY_STATUS, "((status, created_day), order_id)")],
        [
            (
                "breaking",
                "the key of table `orders.orders_by_status` was ((status, created_day), created_at"
                " DESC, order_id ASC), now ((status, created_day), order_id ASC)",
            )
        ],
    ),
    "another filter and another route": (
        [declaration(KEEP, "keep=\"status = 'paid'\""), declaration("10000", "20000")],
        [("breaking", "`keep` changed"), ("breaking", "`alert` changed")],
    ),
    "another derivation": (
        [declaration("to_date(created_at)", "to_date(kafka_timestamp)")],
        [("breaking", "derived column `created_day` changed")],
    ),
    "another dimension": (
        [declaration('day("created_at"), "currency"', 'day("created_at"), "status"')],
        [("breaking", "the dimensions of aggregate `orders_by_currency` changed")],
    ),
    "another measure and one more": (
        [declaration('total("amount"),', 'total("amount", "express"), "low": minimum("amount"),'),
         declaration("    maximum,\n", "    maximum,\n    minimum,\n")],
        [
            ("breaking", "measure `revenue` of aggregate `orders_by_currency` was total(amount)"),
            ("needs a rebuild", "measure `low` of aggregate `orders_by_currency` is new"),
        ],
    ),
    "another condition of a topic": (
        [declaration('outcome="alert"', 'outcome="valid"')],
        [("breaking", "`outcome` of topic `orders-large` changed")],
    ),
    "new targets": (
        [declaration('FileSet("orders", day="created_at"),',
                     'FileSet("orders", day="created_at"), FileSet("paid"),'),
         declaration('Topic("orders-large", outcome="alert"),',
                     'Topic("orders-large", outcome="alert"), Topic("orders-all"),')],
        [
            ("needs a replay", "new file set `paid`"),
            ("safe", "new topic `orders-all`"),
        ],
    ),
    "table and aggregate that were removed": (
        [declaration(', Table("orders.orders_by_status")', ","),
         declaration('"orders_by_country"', '"orders_by_land"')],
        [
            ("breaking", "table `orders.orders_by_status` was removed"),
            ("breaking", "aggregate `orders_by_country` was removed"),
            ("needs a rebuild", "new aggregate `orders_by_land`"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("edits", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_change_is_judged_by_what_it_does_to_stored_records(
    edits: list[Edit], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    before = shape_of(load_pipeline(orders(tmp_path / "before")))
    after = shape_of(load_pipeline(orders(tmp_path / "after", *edits)))

    # As a checkpoint keeps it.
    found = changes(json.loads(json.dumps(before)), after)

    assert [change.kind for change in found] == [kind for kind, _ in expected]
    for change, (_, words) in zip(found, expected, strict=True):
        assert words in change.text


@pytest.fixture
def processed(tmp_path: Path) -> tuple[Settings, Path]:
    """Settings, and the folder of a pipeline whose job has planned a batch."""
    settings = Settings(_env_file=None, millrace_home=tmp_path / "home", pipelines_path=tmp_path)
    folder = orders(tmp_path)
    checkpoint = checkpoint_of(settings, "orders")
    record_shape(checkpoint, shape_of(load_pipeline(folder)))
    offsets = Path(str(checkpoint.path)) / "offsets"
    offsets.mkdir()
    (offsets / "0").write_text("v1\n")
    return settings, folder


def edit(folder: Path, file: str, old: str, new: str) -> None:
    (folder / file).write_text((folder / file).read_text().replace(old, new, 1))


def test_job_refuses_a_breaking_change_with_the_way_out(processed: tuple[Settings, Path]) -> None:
    settings, folder = processed
    edit(folder, *cql(BY_STATUS, "((status, created_day), order_id)"))
    edit(folder, *declaration("10000", "20000"))

    (finding,) = check_declaration(load_pipeline(folder), settings)

    assert "Pipeline orders: its declaration changed" in finding
    assert "`alert` changed" in finding
    assert "the key of table `orders.orders_by_status`" in finding
    assert "undo the change" in finding
    assert "make reset PIPELINE=orders" in finding


def test_job_starts_after_a_change_that_stored_records_fit(
    processed: tuple[Settings, Path],
) -> None:
    settings, folder = processed
    edit(folder, *contract('"USD", "GBP"', '"USD", "SEK", "GBP"'))

    assert check_declaration(load_pipeline(folder), settings) == []


def test_changes_before_the_first_batch_concern_nothing(processed: tuple[Settings, Path]) -> None:
    settings, folder = processed
    checkpoint = checkpoint_of(settings, "orders")
    (Path(str(checkpoint.path)) / "offsets" / "0").unlink()
    edit(folder, *declaration("10000", "20000"))

    assert recorded_shape(checkpoint) is None
    assert check_declaration(load_pipeline(folder), settings) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 0}'], ids=["cut", "list", "former"])
def test_shape_that_cannot_be_read_is_passed_over(
    text: str, processed: tuple[Settings, Path]
) -> None:
    settings, folder = processed
    checkpoint_of(settings, "orders").write("millrace-declaration.json", text)

    assert check_declaration(load_pipeline(folder), settings) == []


def test_check_names_each_change_and_fails_on_a_breaking_one(
    processed: tuple[Settings, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("operations.check.check._analyse", lambda *_: None)
    settings, folder = processed
    edit(folder, *contract('"USD", "GBP"', '"USD", "SEK", "GBP"'))

    assert check(settings, "orders") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == (
        "orders: safe: field `currency`: `enum` gained SEK; it accepts more from now on."
    )
    assert printed[2].startswith("Rows and MB of one partition")

    edit(folder, *declaration("10000", "20000"))
    assert check(settings, "orders") == 1
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0] == "orders: breaking: `alert` changed, and so which records are alerts."
    assert "make reset PIPELINE=orders" in lines[-1]
