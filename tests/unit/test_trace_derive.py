"""Derived columns of one record, without Spark."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from operations.trace.derive import NotComputable, evaluated

moment = datetime.fromisoformat
ROW = {
    "at": moment("2026-11-22T10:11:12.345000"),
    "name": "Ada",
    "number": -7,
    "price": Decimal("12.50"),
    "absent": None,
    "labels": ["a"],
}


COMPUTED = [
    ("to_date(at)", "date", "2026-11-22"),
    ("date_trunc('HOUR', at)", "timestamp", moment("2026-11-22T10:00:00")),
    ("date_trunc('week', at)", "timestamp", moment("2026-11-16T00:00:00")),
    ("date_trunc('quarter', at)", "timestamp", moment("2026-10-01T00:00:00")),
    ("date_trunc('MM', at)", "timestamp", moment("2026-11-01T00:00:00")),
    ("trunc(at, 'YEAR')", "date", "2026-01-01"),
    ("year(at)", "int", 2026),
    ("cast(conv(substr('f07', 1, 1), 16, 10) AS int)", "int", 15),
    ("conv('255', 10, 16)", "text", "FF"),
    ("substring(name, 2)", "text", "da"),
    ("substr(name, -2, 1)", "text", "d"),
    ("concat(lower(name), '-', cast(month(at) AS string))", "text", "ada-11"),
    ("concat(name, absent)", "text", None),
    ("concat_ws('|', name, absent, 'x')", "text", "Ada|x"),
    ("coalesce(absent, upper(name))", "text", "ADA"),
    ("CASE WHEN number < 0 THEN 'below' ELSE 'above' END", "text", "below"),
    ("if(name IN ('Ada', 'Bob'), 1, 2)", "bigint", 1),
    ("pmod(number, 4)", "int", 1),
    # CRC-32 of the three bytes is 0xB53DC188.
    ("cast(pmod(crc32(name), 16) AS int)", "int", 8),
    ("`number` * 2 + abs(number)", "int", -7),
    ("name = 'it''s a/b'", "boolean", False),
]


@pytest.mark.parametrize(("sql", "kind", "expected"), COMPUTED)
def test_value_is_that_of_spark(sql: str, kind: str, expected: Any) -> None:
    assert evaluated(sql, ROW, kind) == expected


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        # Functions that SQLite knows in another sense, or not at all.
        *(("strftime('%Y', at)", "text"), ("datetime(at)", "timestamp"), ("round(price)", "int")),
        *(("date_format(at, 'yyyy')", "text"), ("sha2(name, 256)", "text"), ("random()", "int")),
        # What it reads otherwise.
        *(("number / 2", "int"), ("name LIKE 'a%'", "boolean"), ('"Ada"', "text")),
        *(("cast(price AS double)", "double"), (r"'a\'b'", "text"), ("name; name", "text")),
        # What would never end, or ends otherwise in Spark.
        *(("conv(number, 10, 16)", "text"), ("conv(year(at), 10, 1)", "text")),
        *(("(SELECT 1)", "int"), ("price", "text"), ("name", "decimal")),
        # Columns that are not there, and values that do not fit.
        *(("nowhere", "text"), ("labels", "text"), ("to_date(name)", "date"), ("name", "int")),
    ],
)
def test_what_may_differ_from_spark_is_not_computed(sql: str, kind: str) -> None:
    with pytest.raises(NotComputable):
        evaluated(sql, ROW, kind)
