"""The text of an id is the same for a message and for its row, whatever type a store gives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from spark_jobs.transforms.record_ids import id_sql

ZONE = "spark.sql.session.timeZone"


@pytest.fixture(params=["UTC", "America/New_York"])
def zone(spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[str]:
    before = spark.conf.get(ZONE)
    spark.conf.set(ZONE, request.param)
    yield request.param
    spark.conf.set(ZONE, str(before))


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("value", "stored", "kind", "expected"),
    [
        ("'a|b'", "string", "string", "a|b"),
        ("'7/12'", "string", "string", " 7/12"),
        ("'7/12\n'", "string", "string", "7/12\n"),
        ("1.5", "decimal(38,18)", "decimal(12,2)", "1.50"),
        ("1.5", "decimal(12,2)", "decimal(12,2)", "1.50"),
        ("-7", "bigint", "bigint", "-7"),
        ("0.1", "double", "double", "0.1"),
        ("true", "boolean", "boolean", "true"),
        ("date'2026-11-22'", "date", "date", "2026-11-22"),
        ("timestamp_millis(1795342500007)", "timestamp", "timestamp", "2026-11-22T10:15:00.007Z"),
        ("timestamp_millis(-1)", "timestamp", "timestamp", "1969-12-31T23:59:59.999Z"),
        ("null", "timestamp", "timestamp", None),
    ],
)
def test_an_id_has_one_text(
    spark: SparkSession, value: str, stored: str, kind: str, expected: str | None
) -> None:
    row = spark.sql(f"SELECT CAST({value} AS {stored}) AS id").selectExpr(
        f"{id_sql({'id': kind})} AS text"
    )

    assert [each.text for each in row.collect()] == [expected]


def test_ids_of_several_columns_differ_if_any_column_does(spark: SparkSession) -> None:
    rows = spark.sql(r"SELECT * FROM VALUES ('a|b', 'c'), ('a', 'b|c'), ('a\\', '|b|c') AS t(x, y)")
    ids = rows.selectExpr(f"{id_sql({'x': 'string', 'y': 'string'})} AS id").collect()

    assert [row.id for row in ids] == [r"a\|b|c", r"a|b\|c", r"a\\|\|b\|c"]
