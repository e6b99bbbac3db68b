"""`millrace check`: each kind of fault is found, at its place, and nothing else with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from operations.check.check import check, folder_faults
from operations.check.fault import Fault
from operations.check.folder import read_folder
from settings import Settings
from tests.support.pipeline_folders import CONTRACT, CQL, DECLARATION, EXAMPLES, SQL, Edit, orders

KEEP = "keep=\"status <> 'test'\""
DERIVED = 'derived={"created_day": "to_date(created_at)"}'
TABLES = 'tables=(Table("orders.orders"), Table("orders.orders_by_status"))'
BY_STATUS = "((status, created_day), created_at, order_id)"
ORDERS, ORDERS_BY_STATUS = "orders.orders", "orders.orders_by_status"
# File, place in it, and words that the sentence must have.
Expected = tuple[str, str, str]


def faults(folder: Path, *others: Path) -> list[Fault]:
    everything = [read_folder(path) for path in (folder, *others)]
    return list(folder_faults(everything[0], everything, Settings(_env_file=None)))


def declaration(old: str, new: str) -> Edit:
    return (DECLARATION, old, new)


def cql(old: str, new: str) -> Edit:
    return (CQL, old, new)


def sql(old: str, new: str) -> Edit:
    return (SQL, old, new)


BROKEN: dict[str, tuple[Edit, list[Expected]]] = {
    "contract that is not JSON": (
        (CONTRACT, '"type": "object",', '"type": "object"'),
        [(CONTRACT, "", "line 5 column 3")],
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
    "statement that is not allowed": (
        cql("-- One row", "DROP TABLE orders.old;\n-- One row"),
        [(CQL, "DROP TABLE", "only CREATE KEYSPACE, CREATE TABLE and CREATE INDEX")],
    ),
    "change of a table": (
        cql("-- One row", "ALTER TABLE orders.orders ADD x text;\n-- One row"),
        [(CQL, "ALTER TABLE", "change the CREATE TABLE itself")],
    ),
    "table that may exist already": (
        cql("CREATE TABLE IF NOT EXISTS orders.orders (", "CREATE TABLE orders.orders ("),
        [(CQL, "CREATE TABLE orders.orders", "add IF NOT EXISTS")],
    ),
    "keyspace that nothing creates": (
        cql("KEYSPACE IF NOT EXISTS orders", "KEYSPACE IF NOT EXISTS shop"),
        [
            (CQL, ORDERS, "no statement creates the keyspace `orders`"),
            (CQL, ORDERS_BY_STATUS, "no statement creates the keyspace `orders`"),
        ],
    ),
    "keyspace without replication": (
        cql("WITH replication", "WITH durable_writes = true AND repl"),
        [(CQL, "orders", "add WITH replication")],
    ),
    "statements that are not separated": (
        cql("PRIMARY KEY (order_id)\n);", "PRIMARY KEY (order_id)\n)"),
        [
            (DECLARATION, "tables", "`orders.orders_by_status` is not created in tables.cql"),
            (CQL, "CREATE TABLE orders.orders", "two statements without `;`"),
        ],
    ),
    "bracket that does not close": (
        cql("PRIMARY KEY (order_id)\n);", "PRIMARY KEY (order_id)\n;"),
        [(CQL, "CREATE TABLE orders.orders", "check its brackets")],
    ),
    "comma that is missing": (
        cql("items           list<text>,", "items           list<text>"),
        [(CQL, ORDERS, "`items list<text> express boolean` cannot be read: expected a name")],
    ),
    "name in quotes": (
        cql("hash_key_id     text,       --", '"Hash"  text, --'),
        [(CQL, ORDERS, "names in quotes are not used here")],
    ),
    "reserved word": (
        cql("  PRIMARY KEY (order_id)", "  token text,\n  PRIMARY KEY (order_id)"),
        [(CQL, ORDERS, "`token` is a reserved word"), (CQL, ORDERS, "nothing fills `token`")],
    ),
    "other type than the contract's": (
        cql("amount          decimal,", "amount          double,"),
        [(CQL, ORDERS, "`amount` is double, but its values are decimal; write decimal")],
    ),
    "derived column of a type that no record has": (
        cql("created_day     date,", "created_day     map<text, int>,"),
        [
            (CQL, ORDERS_BY_STATUS, "`created_day` has the type map<text, int>, which no record"),
            (CQL, ORDERS_BY_STATUS, "`created_day` is a collection, which no key can hold"),
        ],
    ),
    "column that nothing fills": (
        cql("  PRIMARY KEY (order_id)", "  countri text,\n  PRIMARY KEY (order_id)"),
        [(CQL, ORDERS, "nothing fills `countri`")],
    ),
    "lineage that is absent": (
        cql("  kafka_offset    bigint,\n  kafka_timestamp timestamp,\n", ""),
        [(CQL, ORDERS, "add: kafka_offset bigint, kafka_timestamp timestamp")],
    ),
    "key of an absent column": (
        cql("PRIMARY KEY (order_id)", "PRIMARY KEY (order_id, nope)"),
        [(CQL, ORDERS, "`nope` is in the primary key, but is no column")],
    ),
    "no key": (
        cql(",\n  PRIMARY KEY (order_id)", ""),
        [(CQL, ORDERS, "it has no PRIMARY KEY; add one")],
    ),
    "key without the id": (
        cql(BY_STATUS, "((status, created_day), created_at)"),
        [(CQL, ORDERS_BY_STATUS, "two records would overwrite each other")],
    ),
    "key that may be null": (
        cql(BY_STATUS, "((country, created_day), created_at, order_id)"),
        [
            (
                CQL,
                ORDERS_BY_STATUS,
                "the field `customer.country` may be absent, and a key holds no null; make the"
                " field required, give it a `default`, or"
                ' `Table("orders.orders_by_status", stand_ins={"country": "unknown"})`',
            )
        ],
    ),
    "partitions without bound": (
        cql(BY_STATUS, "((status), created_at, order_id)"),
        [
            (
                CQL,
                ORDERS_BY_STATUS,
                "a partition holds all records with the same status, and grows without bound;"
                ' divide it by time: `derived={"created_day": "to_date(created_at)"}`, a column'
                " `created_day date`, and PRIMARY KEY ((status, created_day), …)",
            )
        ],
    ),
    "first table without a column that an aggregate needs": (
        cql("  country         text,\n  hash_key_id     text,       --", "  hash_key_id text, --"),
        [(CQL, ORDERS, "it lacks the column `country`, which pipeline.py needs")],
    ),
    "first table without a column that a condition needs": (
        cql("  express         boolean,\n", ""),
        [(CQL, ORDERS, "it lacks the column `express`")],
    ),
    "rows that expire": (
        cql("WITH CLUSTERING", "WITH default_time_to_live = 86400 AND CLUSTERING"),
        [(CQL, ORDERS_BY_STATUS, "deletes rows that `make verify` expects")],
    ),
    "order by an absent column": (
        cql("ORDER BY (created_at DESC", "ORDER BY (made_at DESC"),
        [(CQL, ORDERS_BY_STATUS, "CLUSTERING ORDER BY names no column `made_at`")],
    ),
    "index on an absent column": (
        cql("-- The same", "CREATE INDEX IF NOT EXISTS i ON orders.orders (nope);\n-- The same"),
        [(CQL, "CREATE INDEX i", "`orders.orders` has no column `nope`")],
    ),
    "table that nothing fills": (
        declaration(', Table("orders.orders_by_status")', ","),
        [(CQL, ORDERS_BY_STATUS, "nothing fills it")],
    ),
    "SQL statement that is not allowed": (
        sql("CREATE TABLE", "DROP TABLE old;\nCREATE TABLE"),
        [(SQL, "DROP TABLE", "a statement of this kind is not allowed")],
    ),
    "digits of a number": (
        sql("numeric(12, 2)", "numeric(10, 2)"),
        [(SQL, "orders", "`amount` is numeric(10,2), but its values are numeric(12,2)")],
    ),
    "SQL table without a key": (
        sql(" PRIMARY KEY", ""),
        [(SQL, "orders", "it has no PRIMARY KEY; add one")],
    ),
    "SQL key without the id": (
        sql("order_id        text PRIMARY KEY", "order_id text, PRIMARY KEY (customer_id)"),
        [(SQL, "orders", "`order_id` of the id is not in the primary key")],
    ),
    "rule that refuses an absent field": (
        sql("country         text", "country         text NOT NULL"),
        [(SQL, "orders", "the field `customer.country` may be absent")],
    ),
    "rule that refuses a value": (
        sql("customer_id     text", "customer_id     text UNIQUE"),
        [(SQL, "orders", "`customer_id`: UNIQUE refuses records")],
    ),
    "check of a table": (
        sql("timestamptz NOT NULL\n", "timestamptz NOT NULL,\n  CHECK (amount > 0)\n"),
        [(SQL, "orders", "CHECK refuses records")],
    ),
    "SQL table without lineage": (
        sql("  kafka_partition int NOT NULL,\n", ""),
        [(SQL, "orders", "add: kafka_partition integer")],
    ),
    "SQL table of another name": (
        sql("EXISTS orders", "EXISTS sales"),
        [
            (DECLARATION, "sql_tables", "`orders` is not created in tables.sql"),
            (SQL, "sales", "nothing fills it"),
        ],
    ),
    "personal data in clear": (
        (CONTRACT, '"x-sensitivity": "public", "x-column": "customer_id"',
         '"x-sensitivity": "personal", "x-column": "customer_id"'),
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
}  # fmt: skip


def assert_expected(found: list[Fault], expected: list[Expected]) -> None:
    faults = [fault for fault in found if not fault.is_note]
    assert [(f.file, f.where) for f in faults] == [place[:2] for place in expected]
    for fault, (_, _, words) in zip(faults, expected, strict=True):
        assert words in fault.text


@pytest.mark.parametrize(("edit", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_fault_is_found_at_its_place(edit: Edit, expected: list[Expected], tmp_path: Path) -> None:
    assert_expected(faults(orders(tmp_path, edit)), expected)


@pytest.mark.parametrize("example", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_examples_have_no_faults(example: str) -> None:
    assert [fault.line(example) for fault in faults(EXAMPLES / example)] == []


def test_all_faults_are_listed_at_once_file_by_file(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        (CONTRACT, '"enum": ["EUR", "USD", "GBP", "CHF"]', '"enum": []'),
        cql("-- One row", "DROP TABLE x;\n-- One row"),
        declaration('"created_day": "to_date(created_at)"', '"created_day": "now()"'),
        sql("customer_id     text", "customer_id     text UNIQUE"),
    )

    found = [(fault.file, fault.where) for fault in faults(folder)]

    assert found == [
        (CONTRACT, "currency"),
        (DECLARATION, 'derived["created_day"]'),
        (CQL, "DROP TABLE"),
        (SQL, "orders"),
    ]


def test_absent_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()

    assert [(f.file, f.text.partition(";")[0]) for f in faults(tmp_path / "orders")] == [
        (CONTRACT, "there is no such file"),
        (DECLARATION, "there is no such file"),
        (CQL, "there is no such file"),
    ]


def test_tables_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    (folder / CQL).write_bytes(b"-- caf\xe9\n")

    assert_expected(
        faults(folder),
        [
            (CQL, "", "it is not text in UTF-8"),
        ],
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("Orders", "lower-case letters"), ("tickets", "built-in pipeline"), ("a" * 41, "40")],
)
def test_name_that_no_pipeline_may_have_is_named(name: str, words: str, tmp_path: Path) -> None:
    found = [f.text for f in faults(orders(tmp_path, name=name)) if not f.file]

    assert len(found) == 1
    assert words in found[0]


def test_what_another_pipeline_has_is_named(tmp_path: Path) -> None:
    found = faults(
        orders(tmp_path, declaration(DERIVED, f'reads="orders", {DERIVED}'), name="sales"),
        orders(tmp_path),
    )

    assert [(f.file, f.text.partition(" belongs to the pipeline `orders`")[0]) for f in found] == [
        (DECLARATION, "the topic `orders`"),
        (DECLARATION, "the topic `orders-large`"),
        (DECLARATION, "the file set `orders`"),
        (DECLARATION, "the collection `orders_by_currency`"),
        (DECLARATION, "the collection `orders_by_country`"),
        (CQL, "the keyspace `orders`"),
        (SQL, "the SQL table `orders`"),
    ]


def test_partitions_without_any_time_are_divided_by_a_shard_of_the_id(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        (CONTRACT, '"format": "timestamp",\n      "x-event-time": true, ', ""),
        cql("created_at      timestamp,\n  status", "created_at      text,\n  status"),
        cql("created_at      timestamp,\n  order_id", "created_at      text,\n  order_id"),
        cql(BY_STATUS, "((status), order_id)"),
        cql("(created_at DESC, order_id ASC)", "(order_id ASC)"),
    )

    found = [f.text for f in faults(folder) if "without bound" in f.text]

    assert found == [
        "a partition holds all records with the same status, and grows without bound; divide it by"
        ' a shard: `derived={"shard": "pmod(crc32(order_id), 16)"}`, a column `shard int`, and'
        " PRIMARY KEY ((status, shard), …)"
    ]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("pmod(crc32(order_id), 16)", "int"),
        ("date_format(created_at, 'yyyy-MM')", "text"),
        ("year(kafka_timestamp)", "int"),
    ],
    ids=["shard", "month as text", "year of arrival"],
)
def test_partitions_with_a_bucket_are_bounded(expression: str, kind: str, tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        declaration("to_date(created_at)", expression),
        cql("created_day     date", f"created_day     {kind}"),
    )

    assert [fault.text for fault in faults(folder)] == []


def test_derived_column_of_optional_fields_needs_a_value_in_a_key(tmp_path: Path) -> None:
    derived = '{"created_day": "to_date(created_at)", "region": "upper(country)"}'
    edits = (
        declaration('{"created_day": "to_date(created_at)"}', derived),
        cql(
            "  status          text,\n  created_day",
            "  status text,\n  region text,\n  created_day",
        ),
        cql(BY_STATUS, "((region, created_day), created_at, order_id)"),
    )
    handled = declaration("upper(country)", "coalesce(upper(country), 'none')")

    without = [f.text for f in faults(orders(tmp_path / "a", *edits))]
    with_value = [f.text for f in faults(orders(tmp_path / "b", *edits, handled))]

    assert len(without) == 1
    assert "`region` is in the key, but the field `customer.country` may be absent" in without[0]
    assert with_value == []


def test_personal_data_is_followed_into_derived_columns(tmp_path: Path) -> None:
    personal = (
        CONTRACT,
        '"x-sensitivity": "public", "x-column": "customer_id"',
        '"x-sensitivity": "personal", "x-column": "customer_id"',
    )
    derived = declaration(
        '{"created_day": "to_date(created_at)"}',
        '{"created_day": "to_date(created_at)", "initial": "left(customer_id, 1)"},\n'
        '    clear=("customer_id",)',
    )
    column = cql("  express         boolean,\n", "  express boolean,\n  initial text,\n")

    found = [f.text for f in faults(orders(tmp_path, personal, derived, column))]

    assert len(found) == 1
    assert found[0].startswith("`initial` is made of `customer_id`, which is `personal`")


def test_public_field_with_a_telling_name_is_a_note(tmp_path: Path) -> None:
    folder = orders(
        tmp_path, (CONTRACT, '"express": {', '"contactEmail": {"type": "string", "x-sensitivity":'
                   ' "public"},\n    "express": {')
    )  # fmt: skip

    found = faults(folder)

    assert [(f.where, f.is_note) for f in found] == [("contactEmail", True)]
    assert "may be personal" in found[0].text


def test_column_that_is_stored_nowhere_is_a_note(tmp_path: Path) -> None:
    folder = orders(
        tmp_path, (CONTRACT, '"express": {', '"note": {"type": "string", "x-column": "note",'
                   ' "x-sensitivity": "public"},\n    "express": {')
    )  # fmt: skip

    assert [(f.where, f.is_note, f.text) for f in faults(folder)] == [
        ("note", True, "its column `note` is in no table, so it is stored nowhere")
    ]


def test_fault_is_one_line_with_pipeline_file_and_place() -> None:
    fault = Fault(CONTRACT, "customer.email", "unknown keyword `x-sensitivty`")

    assert fault.line("orders") == (
        "`orders/contract.schema.json`, `customer.email`: unknown keyword `x-sensitivty`."
    )


def test_faults_are_printed_without_spark_and_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.check.check.session_alone", None)
    orders(tmp_path, declaration('total("amount")', 'total("status")'))
    settings = Settings(_env_file=None, pipelines_path=tmp_path)

    assert check(settings) == 1
    assert re.fullmatch(
        r'`orders/pipeline.py`, `aggregates\["orders_by_currency"\].measures\["revenue"\]`: `total`'
        r" needs a number, .*\n1 fault\. .*\n",
        capsys.readouterr().out,
    )


def test_unknown_name_is_answered_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders(tmp_path)

    assert check(Settings(_env_file=None, pipelines_path=tmp_path), "order") == 1
    assert "Did you mean `orders`?" in capsys.readouterr().out


def test_no_pipeline_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings(_env_file=None, pipelines_path=tmp_path / "absent")) == 0
    assert "no pipeline in" in capsys.readouterr().out


def test_built_in_pipeline_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings(_env_file=None), "tickets") == 0
    assert capsys.readouterr().out == (
        "tickets: no faults; 6 fields, 2 tables, 1 SQL table, 5 file sets, 4 aggregates\n"
    )
