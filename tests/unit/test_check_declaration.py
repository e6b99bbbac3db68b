"""`millrace check`: each kind of fault of contract and declaration, at its place."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from spark_jobs.registry import load_pipeline
from tests.support.pipeline_folders import (
    CONTRACT,
    CQL,
    DECLARATION,
    DERIVED,
    EXAMPLES,
    KEEP,
    ORDERS,
    ORDERS_BY_STATUS,
    SQL,
    TABLES,
    Edit,
    Expected,
    assert_expected,
    cql,
    declaration,
    faults,
    orders,
)

BROKEN: dict[str, tuple[Edit, list[Expected]]] = {
    "contract that is not JSON": (
        (CONTRACT, '"type": "object",', '"type": "object"'),
        [(CONTRACT, "", "line 5 column 3")],
    ),
    "contract that is no object": (
        (CONTRACT, (EXAMPLES / "orders" / CONTRACT).read_text(), "[]"),
        [(CONTRACT, "(root)", "expected a JSON object"), (CONTRACT, "", "no field has `x-id`")],
    ),
    "two faults of a contract": (
        (CONTRACT, '"x-id": true', '"x-idd": true'),
        [(CONTRACT, "order_id", "did you mean `x-id`?"), (CONTRACT, "", "no field has `x-id`")],
    ),
    "syntax of Python": (
        declaration("PIPELINE = Pipeline(", "PIPELINE = Pipeline(("),
        [(DECLARATION, "line 18", "SyntaxError: '(' was never closed")],
    ),
    "exception while it is imported": (
        declaration("PIPELINE =", "raise ValueError('first\\nsecond')\nPIPELINE ="),
        [(DECLARATION, "line 18", "ValueError: first second")],
    ),
    "exit while it is imported": (
        declaration("PIPELINE =", "raise SystemExit(3)\nPIPELINE ="),
        [(DECLARATION, "line 18", "SystemExit: 3")],
    ),
    "module that is absent": (
        declaration("from millrace", "import no_such_module\nfrom millrace"),
        [(DECLARATION, "line 3", "ModuleNotFoundError: No module named 'no_such_module'")],
    ),
    "unknown part of a pipeline": (
        declaration("alert=", "allert="),
        [(DECLARATION, "line 18", "unexpected keyword argument 'allert'")],
    ),
    "no PIPELINE": (
        declaration("PIPELINE =", "PIPLINE ="),
        [(DECLARATION, "", "it defines no `PIPELINE = Pipeline(…)`")],
    ),
    "PIPELINE of another class": (
        declaration("PIPELINE = Pipeline(", "PIPELINE = dict("),
        [(DECLARATION, "", "it defines no `PIPELINE = Pipeline(…)`")],
    ),
    "tuple without a comma": (
        declaration(TABLES, 'tables=(Table("orders.orders"))'),
        [(DECLARATION, "tables", "write a tuple, with a comma: `(Table(…),)`")],
    ),
    "text as a table": (
        declaration('Table("orders.orders"),', '"orders.orders",'),
        [(DECLARATION, "tables[0]", "is of type str; expected `Table(…)`")],
    ),
    "text as dimensions": (
        declaration('by=("country",)', 'by=("country")'),
        [(DECLARATION, "aggregates[1].by", "write a tuple")],
    ),
    "measure that is not called": (
        declaration('"count": count(),', '"count": count,'),
        [(DECLARATION, "aggregates[0].measures['count']", "write `count(…)`")],
    ),
    "measure without its column": (
        declaration('total("amount")', "total(None)"),
        [
            (
                DECLARATION,
                "aggregates[0].measures['revenue']",
                '`total` needs a column, such as `total("amount")`',
            )
        ],
    ),
    "number as a condition": (
        declaration(KEEP, "keep=1"),
        [(DECLARATION, "keep", "is of type int; expected a text")],
    ),
    "list of derived columns": (
        declaration(DERIVED, 'derived=["created_day"]'),
        [(DECLARATION, "derived", "expected a dictionary")],
    ),
    "unknown outcome": (
        declaration('outcome="alert"', 'outcome="rejected"'),
        [(DECLARATION, "topics[0].outcome", "is not valid or alert")],
    ),
    "another name than the folder's": (
        declaration(DERIVED, f'name="sales", {DERIVED}'),
        [(DECLARATION, "name", "leave it out")],
    ),
    "no table": (
        declaration(TABLES, "tables=()"),
        [
            (DECLARATION, "tables", "records need at least one"),
            (CQL, ORDERS, "nothing fills it"),
            (CQL, ORDERS_BY_STATUS, "nothing fills it"),
        ],
    ),
    "table without its keyspace": (
        declaration('Table("orders.orders"),', 'Table("orders"),'),
        [
            (DECLARATION, "tables", "`orders` is not `keyspace.table`"),
            (DECLARATION, "tables", "`orders` is not created in tables.cql"),
            (CQL, ORDERS, 'add `Table("orders.orders")`'),
        ],
    ),
    "table declared twice": (
        declaration('Table("orders.orders"),', 'Table("orders.orders"), Table("orders.orders"),'),
        [(DECLARATION, "tables", "`orders.orders` is declared 2 times")],
    ),
    "unknown column of a measure": (
        declaration('total("amount")', 'total("amout")'),
        [
            (
                DECLARATION,
                'aggregates["orders_by_currency"].measures["revenue"]',
                "there is no column `amout`, neither in the contract nor derived. Did you mean"
                " `amount`?",
            )
        ],
    ),
    "field in place of its column": (
        declaration('distinct("customer_id")', 'distinct("customer.id")'),
        [
            (
                DECLARATION,
                'aggregates["orders_by_country"].measures["customers"]',
                "its column is `customer_id`",
            )
        ],
    ),
    "sum of a text": (
        declaration('total("amount")', 'total("status")'),
        [
            (
                DECLARATION,
                'aggregates["orders_by_currency"].measures["revenue"]',
                "`total` needs a number, and `status` is of type string",
            )
        ],
    ),
    "average of a boolean": (
        declaration('average("amount")', 'average("express")'),
        [
            (
                DECLARATION,
                'aggregates["orders_by_currency"].measures["average_amount"]',
                "`average` needs a number, and `express` is of type boolean",
            )
        ],
    ),
    "greatest array": (
        declaration('maximum("amount")', 'maximum("items")'),
        [
            (
                DECLARATION,
                'aggregates["orders_by_currency"].measures["largest"]',
                "`items` is of type array<string>",
            )
        ],
    ),
    "documents by an array": (
        declaration('by=("country",)', 'by=("items",)'),
        [(DECLARATION, 'aggregates["orders_by_country"].by', "grouped by single values")],
    ),
    "day of a text": (
        declaration('day("created_at"), "currency"', 'day("status"), "currency"'),
        [
            (
                DECLARATION,
                'aggregates["orders_by_currency"].by',
                "`day` needs a timestamp, and `status` is of type string",
            )
        ],
    ),
    "day of a date, which the first table lacks": (
        declaration('day("created_at"), "currency"', 'day("created_day"), "currency"'),
        [
            (DECLARATION, 'aggregates["orders_by_currency"].by', "a date is its own day"),
            (CQL, ORDERS, "it lacks the column `created_day`"),
        ],
    ),
    "name of an aggregate that is the platform's": (
        declaration('"orders_by_country"', '"batches"'),
        [(DECLARATION, "aggregates", "the platform's own")],
    ),
    "bands without their lowest numbers": (
        declaration(
            "PIPELINE =",
            'from millrace import band\n\nBY = band("amount", ("small", "large"))\nPIPELINE =',
        ),
        [(DECLARATION, "line 20", 'such as `band("amount", (("young", 0), ("old", 50)))`')],
    ),
    "day of a file set that is a text": (
        declaration('FileSet("orders", day="created_at")', 'FileSet("orders", day="status")'),
        [(DECLARATION, 'file_sets["orders"].day', "`status` is of type string")],
    ),
    "unknown column of a file set": (
        declaration('day="created_at")', 'columns=("order_id", "nope"))'),
        [(DECLARATION, 'file_sets["orders"].columns', "there is no column `nope`")],
    ),
    "file set outside its folder": (
        declaration('FileSet("orders"', 'FileSet("../orders"'),
        [(DECLARATION, "file_sets", "`../orders` is no name of a folder")],
    ),
    "topic with a blank": (
        declaration('Topic("orders-large"', 'Topic("orders large"'),
        [(DECLARATION, "topics", "`orders large` is no name of a topic")],
    ),
    "records forwarded to the pipeline's own topic": (
        declaration('Topic("orders-large"', 'Topic("orders"'),
        [(DECLARATION, "topics", "`orders` is the pipeline's own input")],
    ),
    "derived column that the contract feeds": (
        declaration(DERIVED, 'derived={"created_day": "to_date(created_at)", "status": "\'x\'"}'),
        [(DECLARATION, 'derived["status"]', "`status` of the contract feeds this column already")],
    ),
    "derived column that every message has": (
        declaration(DERIVED, 'derived={"created_day": "to_date(created_at)", "outcome": "\'x\'"}'),
        [(DECLARATION, 'derived["outcome"]', "every message has a column of this name")],
    ),
    "clock in place of a column": (
        declaration("to_date(created_at)", "current_date()"),
        [(DECLARATION, 'derived["created_day"]', "gives another value when a batch is repeated")],
    ),
    "condition that makes several rows": (
        declaration(KEEP, "keep=\"explode(items) = 'x'\""),
        [(DECLARATION, "keep", "`explode` makes several rows of one record")],
    ),
    "condition over other records": (
        declaration(KEEP, 'keep="row_number() OVER (ORDER BY amount) = 1"'),
        [(DECLARATION, "keep", "`over` needs other records of the batch")],
    ),
    "table that nothing fills": (
        declaration(', Table("orders.orders_by_status")', ","),
        [(CQL, ORDERS_BY_STATUS, "nothing fills it")],
    ),
    "personal data in clear": (
        (
            CONTRACT,
            '"x-sensitivity": "public", "x-column": "customer_id"',
            '"x-sensitivity": "personal", "x-column": "customer_id"',
        ),
        [
            (
                DECLARATION,
                "clear",
                "`customer_id` is `personal` and would be in clear in table `orders.orders`, table"
                " `orders.orders_by_status`, SQL table `orders`, file set `orders`, topic"
                " `orders-large`",
            )
        ],
    ),
    "pattern that a long text would break": (
        (CONTRACT, '"maxLength": 40', '"pattern": "^(?:a|b)+$"'),
        [(CONTRACT, "items", "set `maxLength` to at most 500, or repeat without going back")],
    ),
    "unknown column in clear": (
        declaration(DERIVED, f'clear=("nope",), {DERIVED}'),
        [(DECLARATION, "clear", "there is no column `nope`")],
    ),
    "topic of a built-in pipeline": (
        declaration(DERIVED, f'reads="client_tickets", {DERIVED}'),
        [(DECLARATION, "client_tickets", "belongs to the pipeline `tickets`")],
    ),
    "collection of a built-in pipeline": (
        declaration('"orders_by_country"', '"tickets_by_team"'),
        [(DECLARATION, "tickets_by_team", "belongs to the pipeline `tickets`")],
    ),
    "file set of a built-in pipeline": (
        declaration('FileSet("orders"', 'FileSet("metrics"'),
        [(DECLARATION, "metrics", "the file set `metrics` belongs to the pipeline `tickets`")],
    ),
}


@pytest.mark.parametrize(("edit", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_fault_of_contract_or_declaration_is_found_at_its_place(
    edit: Edit, expected: list[Expected], tmp_path: Path
) -> None:
    assert_expected(faults(orders(tmp_path, edit)), expected)


def test_files_that_begin_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    plain = load_pipeline(folder)
    for name in (CONTRACT, DECLARATION, CQL, SQL):
        (folder / name).write_bytes(codecs.BOM_UTF8 + (folder / name).read_bytes())

    assert faults(folder) == []
    assert load_pipeline(folder).tables == plain.tables


def test_a_file_in_another_encoding_is_one_fault(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    (folder / SQL).write_text((folder / SQL).read_text(), encoding="utf-16")

    assert_expected(faults(folder), [(SQL, "", "it is not text in UTF-8; save it again in UTF-8")])


@pytest.mark.parametrize(
    ("file_set", "expected"),
    [
        ('FileSet("orders", day="created_at")', 1),
        ('FileSet("orders")', 1),
        ('FileSet("orders", columns=("order_id", "day"))', 1),
        ('FileSet("orders", day="created_at", columns=("order_id",))', 0),
    ],
)
def test_column_named_as_the_days_folder_is_refused_in_every_file_set(
    file_set: str, expected: int, tmp_path: Path
) -> None:
    derived = declaration(DERIVED, 'derived={"created_day": "to_date(created_at)", "day": "1"}')
    shown = declaration('FileSet("orders", day="created_at")', file_set)
    column = cql("hash_key_id     text,", "day int,\n  hash_key_id     text,")

    found = faults(orders(tmp_path, derived, shown, column))

    place = (DECLARATION, 'file_sets["orders"].columns', "`day` is the name of the day's folder")
    assert_expected(found, [place] * expected)


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("express", "its groups are texts, and `express` is of type boolean"),
        ("status", "its aggregate is not grouped by `status`"),
        ("country", None),
    ],
)
def test_snapshot_is_grouped_by_a_text_of_its_aggregate(
    by: str, words: str | None, tmp_path: Path
) -> None:
    imported = declaration("Pipeline,", "Pipeline, Snapshot,")
    both = 'Aggregate("both", by=("country", "express"), measures={"count": count()})'
    snapshot = f'Snapshot("both", BOTH, ("{by}", "count"), "{by}")'
    named = declaration("PIPELINE = Pipeline(", f"BOTH = {both}\nPIPELINE = Pipeline(")
    added = declaration("    topics=", f"    snapshots=({snapshot},),\n    topics=")

    found = faults(orders(tmp_path, imported, named, added))

    assert_expected(found, [(DECLARATION, 'snapshots["both"].by', words)] if words else [])
