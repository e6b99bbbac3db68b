"""Every type of a contract in every store, compared with values worked out by hand, and tampered.

The values of the records are in tests/support/every_type.py.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from psycopg.sql import SQL, Identifier

from operations.pipelines import read_topic
from operations.verify.accounts import take_accounts
from settings import OUTPUT_FORMATS
from spark_jobs.registry import load_pipeline
from spark_jobs.sinks.files.reading import read_set
from sql import client
from sql.declared import server_type
from tests.support.every_type import EARLY, EXPECTED, MESSAGES, NAME, plain, write_pipeline
from tests.support.pipelines import MakeWorld
from tests.support.tampered_files import NAMED_FILE, in_csv, in_json, in_parquet
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("compiled")
ALL = ("cassandra", "files", "mongodb", "postgres")
LONGEST, LEAST, MOST = "9" * 38, -(2**63), 2**63 - 1
NIL, ONE = "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"


def _at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


SECOND = _at(1970, 1, 1, 0, 0, 1)
MILLISECOND = _at(1970, 1, 1, 0, 0, 0, 1000)
# Column -> what its value in `low` is changed to, a little, and that as JSON text.
TAMPERED: dict[str, tuple[Any, str]] = {
    "code": (LEAST + 1, "-9223372036854775807"),
    "price": (Decimal("-9999999999.98"), "-9999999999.98"),
    "at": (_at(1900, 1, 1, 0, 0, 0, 1000), '"1900-01-01T00:00:00.001Z"'),
    "born": (date(1900, 1, 2), '"1900-01-02"'),
    "labels": (["NULL", "NULL", r"\N", "[]", "{}"], r'["NULL","NULL","\\N","[]","{}"]'),
    "note": ("NULL", '"NULL"'),
    "kind": ("B", '"B"'),
    "grade": (2, "2"),
    "size": (-1.7976931348623155e308, "-1.7976931348623155e308"),
    "is_open": (True, "true"),
    "units": (Decimal(f"-{LONGEST[:-1]}8"), f"-{LONGEST[:-1]}8"),
    "exact": (
        Decimal("-99999999999999999999.999999999999999998"),
        "-99999999999999999999.999999999999999998",
    ),
    "tiny": (Decimal("-2E-38"), "-2E-38"),
    "sent": (_at(1900, 1, 1, 0, 0, 0, 2000), '"1900-01-01T00:00:00.002Z"'),
    "seconds": (SECOND, '"1970-01-01T00:00:01.000Z"'),
    "millis": (MILLISECOND, '"1970-01-01T00:00:00.001Z"'),
    "micros": (MILLISECOND, '"1970-01-01T00:00:00.001Z"'),
    "due": (date(1900, 3, 1), '"1900-03-01"'),
    "badge": (uuid.UUID(ONE), f'"{ONE}"'),
    "mail": ("a@c", '"a@c"'),
    "secret": ("0" * 64, f'"{"0" * 64}"'),
    "codes": ([LEAST, -1, 1], "[-9223372036854775808,-1,1]"),
    "sizes": ([1e-323, -0.0, -1e300], "[1e-323,-0.0,-1e300]"),
    "flags": ([False, False], "[false,false]"),
    "prices": ([Decimal("-9999999999.99"), Decimal("0.11")], "[-9999999999.99,0.11]"),
    "tinies": ([Decimal("-2E-30")], "[-2E-30]"),
    "moments": ([_at(1900, 1, 1, 0, 0, 0, 1000)], '["1900-01-01T00:00:00.001Z"]'),
    "epochs": ([MILLISECOND] * 2, '["1970-01-01T00:00:00.001Z","1970-01-01T00:00:00.001Z"]'),
    "days": ([date(1900, 1, 1), date(1970, 1, 2)], '["1900-01-01","1970-01-02"]'),
    "badges": ([uuid.UUID(ONE)], f'["{ONE}"]'),
    "mails": (["a@b"], '["a@b"]'),
    "remark": (None, "null"),
    "third": (Decimal("-3333333333.3301"), "-3333333333.3301"),
    "year": (1901, "1901"),
}
PLAIN_TYPES = ("note", "badge", "year", "sent")


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path) -> World:
    """The pipeline in all stores; where it can, the direct writer fills Cassandra's tables."""
    made = make_world(load_pipeline(write_pipeline(tmp_path / "written")))
    settings = made.settings.model_copy(
        update={"sinks": ALL, "output_format": OUTPUT_FORMATS, "cassandra_writer": "direct"}
    )
    return dataclasses.replace(made, settings=settings)


def fill(world: World, messages: dict[str, str]) -> None:
    world.send(*((None, text.encode()) for text in messages.values()), partition=0)
    world.process()
    assert world.dead_letters() == []
    assert world.totals().stored == len(messages)


def faults_of(world: World) -> list[str]:
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    return [NAMED_FILE.sub("", fault) for fault in account.faults]


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: {name: plain(row[name]) for name in EXPECTED[row["name"]]} for row in rows}


def expected(*, empty: Any = (), nul: str = "\x00") -> dict[str, dict[str, Any]]:
    """The values, with what a store has in place of an empty list and of U+0000."""

    def stored(value: Any) -> Any:
        if value == []:
            return plain(empty)
        if isinstance(value, list):
            return [stored(each) for each in value]
        return value.replace("\x00", nul) if isinstance(value, str) else plain(value)

    return {name: {c: stored(value) for c, value in row.items()} for name, row in EXPECTED.items()}


def rows_of_postgres(world: World) -> list[dict[str, Any]]:
    with client.connect(world.settings) as connection:
        cursor = connection.execute(SQL("SELECT * FROM {}").format(Identifier(NAME)))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def test_every_value_is_in_every_store_as_it_was_sent(world: World) -> None:
    fill(world, MESSAGES)

    for table in ("by_name", "by_day"):
        assert by_name(world.rows(table)) == expected(empty=None), table
    plainly = {row["name"]: row for row in world.rows("of_plain_types")}
    for name, row in EXPECTED.items():
        found = {column: plain(plainly[name][column]) for column in PLAIN_TYPES}
        assert found == {column: plain(row[column]) for column in PLAIN_TYPES}
    assert by_name(rows_of_postgres(world)) == expected(nul="\ufffd")
    (file_set,) = world.pipeline.file_sets
    for form in OUTPUT_FORMATS:
        read = read_set(world.spark, world.settings, file_set, form)
        assert by_name([row.asDict() for row in read.collect()]) == expected(), form
    assert documents(world) == DOCUMENTS
    assert forwarded(world) == FORWARDED
    assert types_of(world) == {
        field.column: (
            field.stored_as.cassandra,
            server_type(field.stored_as.postgresql),
        )
        for field in world.pipeline.contract.fields
    }

    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])

    assert account.faults == []
    assert account.balanced
    assert {store.store for store in account.stores} == {
        *("Kafka", "Cassandra", "PostgreSQL", "files", "MongoDB")
    }


def types_of(world: World) -> dict[str, tuple[str, str]]:
    """Column -> its type in Cassandra and in PostgreSQL, as the servers say."""
    rows = world.session.execute(
        "SELECT column_name, type FROM system_schema.columns"
        " WHERE keyspace_name = %s AND table_name = 'by_name'",
        (world.keyspace,),
    )
    cassandra = {row["column_name"]: row["type"] for row in rows}
    postgres = world.sql(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        f" WHERE attrelid = '{NAME}'::regclass AND attnum > 0"
    )
    fields = {field.column for field in world.pipeline.contract.fields}
    return {name: (cassandra[name], kind) for name, kind in postgres if name in fields}


def documents(world: World) -> dict[str, dict[str, Any]]:
    """Collection -> `_id` -> the fields that users see."""
    found: dict[str, dict[str, Any]] = {}
    for aggregate in world.pipeline.aggregates:
        hidden = {"_id", "applied", "updated_at", *aggregate.sketches.values()}
        found[aggregate.name] = {
            name: {k: v for k, v in document.items() if k not in hidden}
            for name, document in world.documents(aggregate.name).items()
        }
    return found


DOCUMENTS: dict[str, dict[str, Any]] = {
    "all_of_it": {
        "all": {
            "count": 4,
            "codes": 6,
            "beyond_64_bits": Decimal128("9223372036854775814"),
            "sizes": -1.7976931248623157e308,
            "prices": Decimal128("12.30"),
            "thirds": Decimal128("4.1000"),
            "largest_price": Decimal128("9999999999.99"),
            "smallest_size": -1.7976931348623157e308,
            "smallest": Decimal128("-1.0E-38"),
            "first": EARLY,
            "last_due": "9999-12-31",
            "greatest_code": MOST,
            "average_price": Decimal128("3.075"),
            "average_price_sum": Decimal128("12.30"),
            "average_price_count": 4,
            "names": 4,
            "dues": 2,
            "values": 4,
        }
    },
    "by_day": {
        name: {"day": name, "count": 1}
        for name in ("1900-01-01", "9999-12-31", "2026-11-22", "1970-01-01")
    },
    "by_hour": {
        name: {"hour": name, "count": 1}
        for name in ("1900-01-01T00", "9999-12-31T23", "2026-11-22T10", "1970-01-01T00")
    },
    "by_birth": {
        name: {"born": name, "count": 1}
        for name in ("1900-01-01", "9999-12-31", "2026-11-22", "1970-01-01")
    },
    "by_code": {str(number): {"code": number, "count": 1} for number in (LEAST, MOST, 7, 0)},
    "by_price": {
        name: {"price": name, "count": 1}
        for name in ("-9999999999.99", "9999999999.99", "12.30", "0.00")
    },
    "by_kind": {
        name: {"kind": name, "count": n} for name, n in (("A", 2), ("B", 1), ("unknown", 1))
    },
    "by_grade": {str(g): {"grade": g, "count": n} for g, n in ((1, 1), (2, 1), ("unknown", 2))},
    "by_open": {
        name: {"is_open": value, "count": n}
        for name, value, n in (("true", True, 1), ("false", False, 1), ("unknown", "unknown", 2))
    },
    "by_badge": {
        name: {"badge": name, "count": n}
        for name, n in ((NIL, 1), ("ffffffff-ffff-ffff-ffff-ffffffffffff", 1), ("unknown", 2))
    },
    "by_size": {
        name: {"size": name, "count": 1}
        for name in ("-1.7976931348623157E308", "1.0E300", "0.1", "0.0")
    },
}
FORWARDED = {
    "plain": {
        "name": "plain",
        "code": 7,
        "price": Decimal("12.30"),
        "at": "2026-11-22T10:11:12.345Z",
        "born": "2026-11-22",
        "labels": ["new", "a\x00b"],
        "kind": "A",
        "size": Decimal("0.1"),
        "units": 0,
        "exact": Decimal("0E-18"),
        "tiny": Decimal("0E-38"),
        "third": Decimal("4.1000"),
        "year": 2026,
    }
}


def forwarded(world: World) -> dict[str, dict[str, Any]]:
    """The forwarded message of `plain`, less what names the key of digests."""
    (topic,) = world.pipeline.forward_topics(world.settings)
    values = [
        json.loads(message.value(), parse_float=Decimal)
        for message in read_topic(world.settings, topic)
    ]
    assert len(values) == len(MESSAGES)
    found = {value["name"]: value for value in values if value["name"] == "plain"}
    found["plain"].pop("hash_key_id")
    return found


def test_one_changed_value_of_each_type_is_named_in_each_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.verify.differences.MOST_NAMED", 100)
    # A record for each column, so that in each row one value alone differs.
    low = MESSAGES["low"]
    fill(world, {name: low.replace('"name": "low"', f'"name": "{name}"') for name in TAMPERED})
    assert faults_of(world) == []

    for change in (change_cassandra, change_postgres, change_files, change_documents):
        change(world)

    source = f"{world.keyspace}.by_name"
    places = [
        *(f"files {NAME} ({form})" for form in OUTPUT_FORMATS),
        f"Cassandra {world.keyspace}.by_day",
        f"PostgreSQL {NAME}",
    ]
    wanted = [
        f"{place}: `{name}` differs from {source} in {name}"
        for place in places
        for name in TAMPERED
    ] + [
        f"Cassandra {world.keyspace}.of_plain_types: `{name}` differs from {source} in {name}"
        for name in PLAIN_TYPES
    ]
    faults = faults_of(world)
    of_documents = [fault for fault in faults if fault.startswith("MongoDB")]
    assert sorted({*faults} - {*of_documents}) == sorted(wanted)
    place = re.compile(r"MongoDB \w+\.(\w+): `(.*?)`: `(\w+)` is .*, by the rows of")
    assert sorted(place.match(fault).groups() for fault in of_documents) == sorted(CHANGED)  # type: ignore[union-attr]


# Collection, document and field -> another value of the same type.
CHANGED: dict[tuple[str, str, str], Any] = {
    ("all_of_it", "all", "prices"): Decimal128("0.01"),
    ("all_of_it", "all", "largest_price"): Decimal128("-9999999999.98"),
    ("all_of_it", "all", "smallest_size"): -1.7976931348623155e308,
    ("all_of_it", "all", "first"): _at(1900, 1, 1, 0, 0, 0, 1000),
    ("all_of_it", "all", "last_due"): "1900-03-01",
    ("all_of_it", "all", "greatest_code"): LEAST + 1,
    ("by_open", "false", "is_open"): True,
    ("by_code", str(LEAST), "code"): LEAST + 1,
    ("by_grade", "1", "grade"): 2,
    ("by_birth", "1900-01-01", "born"): "1900-01-02",
    ("by_price", "-9999999999.99", "price"): "-9999999999.98",
}


def change_documents(world: World) -> None:
    for (collection, name, field), value in CHANGED.items():
        update = world.database[collection].update_one({"_id": name}, {"$set": {field: value}})
        assert update.modified_count == 1, field


def change_cassandra(world: World) -> None:
    changes = [("by_day", name) for name in TAMPERED]
    changes += [("of_plain_types", name) for name in PLAIN_TYPES]
    for name, column in changes:
        table = f"{world.keyspace}.{name}"
        (row,) = [row for row in world.rows(name) if row["name"] == column]
        shape = next(t for t in world.pipeline.tables if t.name == name).declared
        key = [each for each, _, _ in shape.key]
        where = " AND ".join(f"{each} = ?" for each in key)
        delete = world.session.prepare(f"DELETE FROM {table} WHERE {where}")
        world.session.execute(delete, [row[each] for each in key])
        row[column], _ = TAMPERED[column]
        marks = ", ".join("?" for _ in row)
        insert = world.session.prepare(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})")
        world.session.execute(insert, [*row.values()])


def change_postgres(world: World) -> None:
    with client.connect(world.settings) as connection:
        for column, (value, _) in TAMPERED.items():
            update = SQL("UPDATE {} SET {} = %s WHERE name = %s")
            names = (Identifier(NAME), Identifier(column))
            assert connection.execute(update.format(*names), [value, column]).rowcount == 1


def change_files(world: World) -> None:
    folder = Path(world.settings.output_path) / NAME
    for form, change in (("parquet", in_parquet), ("json", in_json), ("csv", in_csv)):
        (path,) = folder.rglob(f"*.{form}")
        change(path, TAMPERED)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ('total("exact")', r"a number in too_long needs more than 34 digits"),
        ('maximum("units")', r"a number in too_long needs more than 34 digits"),
    ],
)
def test_number_that_no_document_holds_stops_the_job_and_loses_nothing(
    make_world: MakeWorld, tmp_path: Path, measure: str, message: str
) -> None:
    folder = write_pipeline(tmp_path / "written")
    declaration = folder / "pipeline.py"
    own = f'Aggregate("too_long", measures={{"value": {measure}}}),'
    text = re.sub(r"aggregates=\(", f"aggregates=(\n        {own}", declaration.read_text())
    declaration.write_text(text)
    world = make_world(load_pipeline(folder))
    world.send((None, MESSAGES["high"].encode()), partition=0)

    with pytest.raises(Exception, match=message):
        world.process()

    assert world.totals().stored == 0
