"""A user's pipeline with every type of a contract, its messages and what they are stored as.

Everything is written by hand: the messages as JSON text, the values of each column, the documents.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from cassandra.util import Date

NAME = "everything"
PUBLIC = {"x-sensitivity": "public"}
INTEGER, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}
BOOLEAN = {"type": "boolean"}
MOMENT, DAY = TEXT | {"format": "timestamp"}, TEXT | {"format": "date"}
UUID, EMAIL = TEXT | {"format": "uuid"}, TEXT | {"format": "email"}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    digits = {"x-precision": precision, "x-scale": scale}
    return {"type": ["string", "number"], "format": "decimal"} | digits


REQUIRED = {
    "name": TEXT | {"x-id": True, "maxLength": 20},
    "code": INTEGER,
    "price": decimal(12, 2),
    "at": MOMENT,
    "born": DAY,
    "labels": {"type": "array", "items": TEXT},
}
OPTIONAL = {
    "note": TEXT,
    "kind": TEXT | {"enum": ["A", "B"]},
    "grade": INTEGER | {"enum": [1, 2]},
    "size": NUMBER,
    "is_open": BOOLEAN,
    "units": decimal(38, 0),
    "exact": decimal(38, 18),
    "tiny": decimal(38, 38),
    "sent": MOMENT,
    "seconds": INTEGER | {"x-epoch": "seconds"},
    "millis": INTEGER | {"x-epoch": "milliseconds"},
    "micros": INTEGER | {"x-epoch": "microseconds"},
    "due": DAY,
    "badge": UUID,
    "mail": EMAIL,
    "secret": EMAIL | {"x-sensitivity": "hashed", "x-normalise": "email"},
}
ARRAYS = {
    "codes": INTEGER,
    "sizes": NUMBER,
    "flags": BOOLEAN,
    "prices": decimal(12, 2),
    "tinies": decimal(38, 30),
    "moments": MOMENT,
    "epochs": INTEGER | {"x-epoch": "milliseconds"},
    "days": DAY,
    "badges": UUID,
    "mails": EMAIL,
}
FIELDS = (
    REQUIRED | OPTIONAL | {name: {"type": "array", "items": each} for name, each in ARRAYS.items()}
)
CONTRACT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": [*REQUIRED],
    "properties": {name: PUBLIC | {"x-column": name} | each for name, each in FIELDS.items()},
}
COLUMNS = """
  name text, code bigint, price {decimal}, at {timestamp}, born date, labels {text_array},
  note text, kind text, grade bigint, size {double}, is_open boolean,
  units {units}, exact {exact}, tiny {tiny},
  sent {timestamp}, seconds {timestamp}, millis {timestamp}, micros {timestamp}, due date,
  badge uuid, mail text, secret text, hash_key_id text,
  codes {bigint_array}, sizes {double_array}, flags {boolean_array}, prices {prices},
  tinies {tinies}, moments {timestamp_array}, epochs {timestamp_array}, days {date_array},
  badges {uuid_array}, mails {text_array},
  remark text, third {third}, year int,
  kafka_partition int, kafka_offset bigint, kafka_timestamp {timestamp},
"""
SCALARS = ("text", "bigint", "double", "boolean", "timestamp", "date", "uuid")
CQL_TYPES = {"timestamp": "timestamp", "double": "double", "decimal": "decimal"}
CQL_TYPES |= dict.fromkeys(["units", "exact", "tiny", "third"], "decimal")
CQL_TYPES |= dict.fromkeys(["prices", "tinies"], "list<decimal>")
CQL_TYPES |= {f"{kind}_array": f"list<{kind}>" for kind in SCALARS}
SQL_TYPES = {
    "timestamp": "timestamptz",
    "double": "double precision",
    "decimal": "numeric(12, 2)",
    "units": "numeric(38)",
    "exact": "numeric(38, 18)",
    "tiny": "decimal(38, 38)",
    "third": "numeric(14, 4)",
    "prices": "numeric(12, 2)[]",
    "tinies": "numeric(38, 30)[]",
}
SQL_TYPES |= {f"{kind}_array": f"{kind}[]" for kind in SCALARS}
SQL_TYPES |= {"timestamp_array": "timestamptz[]", "double_array": "double precision[]"}
CQL = f"""
CREATE KEYSPACE IF NOT EXISTS {NAME}
  WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}};
CREATE TABLE IF NOT EXISTS {NAME}.by_name ({COLUMNS.format(**CQL_TYPES)} PRIMARY KEY (name));
CREATE TABLE IF NOT EXISTS {NAME}.by_day ({COLUMNS.format(**CQL_TYPES)}
  PRIMARY KEY ((born, code), at, name)) WITH CLUSTERING ORDER BY (at DESC, name ASC);
CREATE TABLE IF NOT EXISTS {NAME}.of_plain_types (
  code bigint, at timestamp, name text, note text, badge uuid, year int, sent timestamp,
  kafka_partition int, kafka_offset bigint, kafka_timestamp timestamp,
  PRIMARY KEY ((code, name), at));
"""
SQL = f"CREATE TABLE IF NOT EXISTS {NAME} ({COLUMNS.format(**SQL_TYPES)} PRIMARY KEY (name));"
DECLARATION = '''"""Every type of a contract in every store."""

from millrace import (
    Aggregate, FileSet, Pipeline, SqlTable, Table, Topic, average, count, day, distinct, hour,
    maximum, minimum, total,
)

MEASURES = {
    "count": count(),
    "codes": total("code"),
    "beyond_64_bits": total("code", where="code > 0"),
    "sizes": total("size"),
    "prices": total("price"),
  
    "thirds": total("third"),
    "largest_price": maximum("price"),
    "smallest_size": minimum("size"),
    "smallest": minimum("tiny"),
    "first": minimum("at"),
    "last_due": maximum("due"),
    "greatest_code": maximum("code"),
    "average_price": average("price"),
    "names": distinct("name"),
    "dues": distinct("due"),
    "values": distinct("price"),
}
DIMENSIONS = {
    "day": day("at"), "hour": hour("at"), "birth": "born", "code": "code", "price": "price",
    "kind": "kind", "grade": "grade", "open": "is_open", "badge": "badge", "size": "size",
}
PIPELINE = Pipeline(
    derived={
        "remark": "CASE WHEN note IS NOT NULL THEN '' END",
        "third": "price / 3",
        "year": "year(born)",
    },
    tables=(
        Table("everything.by_name"), Table("everything.by_day"), Table("everything.of_plain_types"),
    ),
    sql_tables=(SqlTable("everything"),),
    file_sets=(FileSet("everything", day="at"),),
    topics=(Topic("everything-copied"),),
    aggregates=(
        Aggregate("all_of_it", measures=MEASURES),
        *(
            Aggregate(f"by_{name}", by=(each,), measures={"count": count()})
            for name, each in DIMENSIONS.items()
        ),
    ),
)
'''


def write_pipeline(path: Path) -> Path:
    """The folder of the pipeline, as a user writes it."""
    folder = path / NAME
    folder.mkdir(parents=True)
    (folder / "contract.schema.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
    (folder / "pipeline.py").write_text(DECLARATION, encoding="utf-8")
    (folder / "tables.cql").write_text(CQL, encoding="utf-8")
    (folder / "tables.sql").write_text(SQL, encoding="utf-8")
    return folder


HARD = 'a,b;"c"\\d\n{e}\t\'\r|é名\U0001f600'
HARD_IN_JSON = r"""a,b;\"c\"\\d\n{e}\t'\r|é名😀"""
MESSAGES = {
    "low": r"""{"name": "low", "code": -9223372036854775808, "price": "-9999999999.99",
 "at": "1900-01-01T00:00:00Z", "born": "1900-01-01",
 "labels": ["NULL", "null", "\\N", "[]", "{}"], "note": "null", "kind": "a", "grade": 1,
 "size": -1.7976931348623157e308, "is_open": false,
 "units": -99999999999999999999999999999999999999,
 "exact": "-99999999999999999999.999999999999999999", "tiny": -1e-38,
 "sent": "1900-01-01T01:00:00.001+01:00", "seconds": 0, "millis": 0, "micros": 0,
 "due": "1900-02-28", "badge": "00000000-0000-0000-0000-000000000000", "mail": "a@b",
 "secret": "A@b.example", "codes": [-9223372036854775808, -1, 0],
 "sizes": [5e-324, -0.0, -1e300], "flags": [false, true], "prices": [-9999999999.99, "0.10"],
 "tinies": ["-0.000000000000000000000000000001"], "moments": ["1900-01-01T00:00:00.000Z"],
 "epochs": [0, 1], "days": ["1900-01-01", "1970-01-01"],
 "badges": ["00000000-0000-0000-0000-000000000000"], "mails": ["a@b", "c@d"]}""",
    "high": rf"""{{"name": "high", "code": 9223372036854775807, "price": 9999999999.99,
 "at": "9999-12-31T23:59:59.999Z", "born": "9999-12-31",
 "labels": ["{HARD_IN_JSON}", ",", "\""], "note": "{HARD_IN_JSON}", "kind": "B", "grade": 2,
 "size": 1e300, "is_open": true, "units": "99999999999999999999999999999999999999",
 "exact": 99999999999999999999.999999999999999999,
 "tiny": "0.99999999999999999999999999999999999999", "sent": "9999-12-31T23:59:59.9999Z",
 "seconds": 253402300799, "millis": 253402300799999, "micros": 253402300799999999,
 "due": "9999-12-31", "badge": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
 "mail": "é'\"@x.example", "secret": "z@x.example", "codes": [9223372036854775807],
 "sizes": [1.7976931348623157e308, 0.1, 2e23], "flags": [true], "prices": [9999999999.99],
 "tinies": [99999999.999999999999999999999999999999, 0],
 "moments": ["9999-12-31T23:59:59.999Z", "2026-11-22T10:11:12.345+05:30"],
 "epochs": [253402300799999], "days": ["9999-12-31", "2024-02-29"],
 "badges": ["FFFFFFFF-ffff-ffff-ffff-ffffffffffff"], "mails": ["é'\"@x.example"]}}""",
    "plain": r"""{"name": "plain", "code": 7, "price": 12.3, "at": "2026-11-22T10:11:12.345Z",
 "born": "2026-11-22", "labels": ["new", "a\u0000b"], "size": 0.1, "kind": "A", "exact": 0,
 "tiny": 0, "units": 0}""",
    "empty": r"""{"name": "empty", "code": 0, "price": 0, "at": "1970-01-01T00:00:00Z",
 "born": "1970-01-01", "labels": [], "size": -0.0, "codes": [], "sizes": [], "flags": [],
 "prices": [], "tinies": [], "moments": [], "epochs": [], "days": [], "badges": [],
 "mails": []}""",
}


def _at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


EARLY, LATE, EPOCH = _at(1900, 1, 1), _at(9999, 12, 31, 23, 59, 59, 999000), _at(1970, 1, 1)
NOTHING: dict[str, Any] = dict.fromkeys([*(OPTIONAL.keys() - {"secret"}), *ARRAYS, "remark"])
# Record -> column -> value; lineage and digest, which depend on the run, are left out.
EXPECTED: dict[str, dict[str, Any]] = {
    "low": {
        "name": "low",
        "code": -(2**63),
        "price": Decimal("-9999999999.99"),
        "at": EARLY,
        "born": date(1900, 1, 1),
        "labels": ["NULL", "null", r"\N", "[]", "{}"],
        "note": "null",
        "kind": "A",
        "grade": 1,
        "size": -1.7976931348623157e308,
        "is_open": False,
        "units": Decimal("-99999999999999999999999999999999999999"),
        "exact": Decimal("-99999999999999999999.999999999999999999"),
        "tiny": Decimal("-0.00000000000000000000000000000000000001"),
        "sent": _at(1900, 1, 1, 0, 0, 0, 1000),
        "seconds": EPOCH,
        "millis": EPOCH,
        "micros": EPOCH,
        "due": date(1900, 2, 28),
        "badge": "00000000-0000-0000-0000-000000000000",
        "mail": "a@b",
        "codes": [-(2**63), -1, 0],
        "sizes": [5e-324, -0.0, -1e300],
        "flags": [False, True],
        "prices": [Decimal("-9999999999.99"), Decimal("0.10")],
        "tinies": [Decimal("-0.000000000000000000000000000001")],
        "moments": [EARLY],
        "epochs": [EPOCH, _at(1970, 1, 1, 0, 0, 0, 1000)],
        "days": [date(1900, 1, 1), date(1970, 1, 1)],
        "badges": ["00000000-0000-0000-0000-000000000000"],
        "mails": ["a@b", "c@d"],
        "remark": "",
        "third": Decimal("-3333333333.3300"),
        "year": 1900,
    },
    "high": {
        "name": "high",
        "code": 2**63 - 1,
        "price": Decimal("9999999999.99"),
        "at": LATE,
        "born": date(9999, 12, 31),
        "labels": [HARD, ",", '"'],
        "note": HARD,
        "kind": "B",
        "grade": 2,
        "size": 1e300,
        "is_open": True,
        "units": Decimal("99999999999999999999999999999999999999"),
        "exact": Decimal("99999999999999999999.999999999999999999"),
        "tiny": Decimal("0.99999999999999999999999999999999999999"),
        "sent": LATE,
        "seconds": _at(9999, 12, 31, 23, 59, 59),
        "millis": LATE,
        "micros": LATE,
        "due": date(9999, 12, 31),
        "badge": "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "mail": "é'\"@x.example",
        "codes": [2**63 - 1],
        "sizes": [1.7976931348623157e308, 0.1, 2e23],
        "flags": [True],
        "prices": [Decimal("9999999999.99")],
        "tinies": [Decimal("99999999.999999999999999999999999999999"), Decimal(0)],
        "moments": [LATE, _at(2026, 11, 22, 4, 41, 12, 345000)],
        "epochs": [LATE],
        "days": [date(9999, 12, 31), date(2024, 2, 29)],
        "badges": ["ffffffff-ffff-ffff-ffff-ffffffffffff"],
        "mails": ["é'\"@x.example"],
        "remark": "",
        "third": Decimal("3333333333.3300"),
        "year": 9999,
    },
    "plain": NOTHING
    | {
        "name": "plain",
        "code": 7,
        "price": Decimal("12.30"),
        "at": _at(2026, 11, 22, 10, 11, 12, 345000),
        "born": date(2026, 11, 22),
        "labels": ["new", "a\x00b"],
        "kind": "A",
        "size": 0.1,
        "units": Decimal(0),
        "exact": Decimal(0),
        "tiny": Decimal(0),
        "third": Decimal("4.1000"),
        "year": 2026,
    },
    "empty": NOTHING
    | {name: [] for name in (*ARRAYS, "labels")}
    | {
        "name": "empty",
        "code": 0,
        "price": Decimal(0),
        "at": EPOCH,
        "born": date(1970, 1, 1),
        "size": -0.0,
        "third": Decimal(0),
        "year": 1970,
    },
}


def plain(value: Any) -> Any:
    """A value that equals another only if the stores' drivers mean the same by both."""
    match value:
        case list() | tuple():
            return [plain(each) for each in value]
        case datetime():
            # Cassandra's driver is some microseconds off in far years.
            exact = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
            milliseconds = round(exact.microsecond / 1000) * 1000
            return f"{exact.replace(microsecond=milliseconds):%FT%T.%f}Z"
        case date():
            return f"{value.isoformat()} (day)"
        case bool() | float():
            return repr(value)
        case uuid.UUID():
            return str(value)
        case Date():
            return plain(value.date())
    return value
