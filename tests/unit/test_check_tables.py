"""`millrace check`: each kind of fault of tables in CQL and SQL, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pipeline_folders import (
    BY_STATUS,
    CONTRACT,
    CQL,
    DECLARATION,
    DERIVED,
    ORDERS,
    ORDERS_BY_STATUS,
    SQL,
    Edit,
    Expected,
    assert_expected,
    cql,
    declaration,
    faults,
    orders,
    sql,
)

BROKEN: dict[str, tuple[Edit, list[Expected]]] = {
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
    "keyspace whose rows are in no log": (
        cql("WITH replication", "WITH durable_writes = false AND replication"),
        [(CQL, "orders", "`durable_writes = false` loses rows in a crash")],
    ),
    "statements that are not separated": (
        cql("'T4'};\n", "'T4'}\n"),
        [
            (DECLARATION, "tables", "`orders.orders_by_status` is not created in tables.cql"),
            (CQL, "CREATE TABLE orders.orders", "two statements without `;`"),
        ],
    ),
    "bracket that does not close": (
        cql("PRIMARY KEY (order_id)\n)", "PRIMARY KEY (order_id)\n"),
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
        [
            (
                CQL,
                ORDERS,
                'it lacks the column `country`, which `aggregates["orders_by_country"].by` needs',
            )
        ],
    ),
    "first table without a column that a condition needs": (
        cql("  express         boolean,\n", ""),
        [(CQL, ORDERS, "it lacks the column `express`")],
    ),
    "first table without a column that another table has": (
        cql("  items           list<text>,\n", ""),
        [(CQL, ORDERS, "it lacks the column `items`, which `orders.orders_by_status` needs")],
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
}


@pytest.mark.parametrize(("edit", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_fault_of_a_table_is_found_at_its_place(
    edit: Edit, expected: list[Expected], tmp_path: Path
) -> None:
    assert_expected(faults(orders(tmp_path, edit)), expected)


def derived(**more: str) -> Edit:
    return declaration(DERIVED, f"derived={ {'created_day': 'to_date(created_at)', **more}!r}")


def in_second_table(column: str) -> Edit:
    return cql("created_day     date,", f"created_day date, {column},")


BY_PHONE = (
    (CONTRACT, '"format": "email", "x-trim": true,', '"x-trim": true,'),
    (CONTRACT, '"x-normalise": "email"', '"x-normalise": "phone"'),
)


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (
            (
                derived(created_month="date_trunc('MONTH', created_day)"),
                in_second_table("created_month timestamp"),
            ),
            (
                CQL,
                ORDERS,
                "lacks the column `created_day`, which `created_month of orders.orders_by_",
            ),
        ),
        (
            (derived(bucket="crc32(record_id)"), in_second_table("bucket bigint")),
            (
                CQL,
                ORDERS,
                "lacks the column `record_id`, which `bucket of orders.orders_by_status`",
            ),
        ),
        (
            (declaration("status IN ('paid', 'shipped')", "crc32(record_id) % 10 = 0"),),
            (CQL, ORDERS, 'lacks the column `record_id`, which `aggregates["orders_by_currency"]'),
        ),
        (
            (
                derived(area="lower(country)", zone="upper(area)"),
                cql("  items ", "  area text,\n  items "),
                in_second_table("zone text"),
                cql(BY_STATUS, "((zone, created_day), created_at, order_id)"),
            ),
            (
                CQL,
                ORDERS_BY_STATUS,
                "`zone` is in the key, but the field `customer.country` may be",
            ),
        ),
        (
            (*BY_PHONE, cql(BY_STATUS, "((customer_email, created_day), created_at, order_id)")),
            (
                CQL,
                ORDERS_BY_STATUS,
                "has no digest if no digit is in it, and a key holds no null; `Table(",
            ),
        ),
        (
            (*BY_PHONE, sql("customer_email  text", "customer_email text NOT NULL")),
            (SQL, "orders", "has no digest if no digit is in it, and the job would stop at"),
        ),
    ],
    ids=["of a derived one", "of the id", "in a condition", "null twice", "no digit", "NOT NULL"],
)
def test_column_that_verify_or_a_key_cannot_have_is_found_through_what_it_is_made_of(
    edits: tuple[Edit, ...], expected: Expected, tmp_path: Path
) -> None:
    assert_expected(faults(orders(tmp_path, *edits)), [expected])


def test_table_without_a_compaction_is_a_note(tmp_path: Path) -> None:
    strategy = "compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T4'}"
    folder = orders(tmp_path, cql(f"WITH {strategy}", "WITH comment = 'compaction'"))

    assert [(fault.where, fault.text, fault.is_note) for fault in faults(folder)] == [
        (
            "orders.orders",
            f"no compaction is declared, so the server's default counts; add {strategy}",
            True,
        )
    ]
