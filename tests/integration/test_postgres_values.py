"""Values in PostgreSQL: stored and read back unchanged, odd times and many rows included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier
from pyspark.sql import SparkSession

from settings import Settings
from spark_jobs.sinks.postgres import read_rows
from sql import client
from sql.tables import select_rows
from tests.support.postgres import MakeDatabase
from tests.support.postgres_sink import (
    SENT,
    USA,
    alter,
    batch,
    names,
    rows,
    sink,
    table_of,
    usa,
)

ALERT_SCHEMA = (
    "kafka_topic string, kafka_partition int, kafka_offset bigint, kafka_timestamp timestamp,"
    " reasons array<string>, customer_id string, created_at timestamp"
)
ALERTS = table_of("customers_alerts", ALERT_SCHEMA)


@pytest.fixture
def settings(postgres_server: Settings, make_database: MakeDatabase) -> Settings:
    return postgres_server.model_copy(update={"postgres_dsn": make_database()})


def test_every_kind_of_value_is_read_back_unchanged(
    job_spark: SparkSession, settings: Settings
) -> None:
    early = datetime(1900, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    late = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    tricky = 'a"b,c{d}e\\f\tg\nh\ri'
    sent = [
        ("t", 0, 0, early, [], "", None),
        ("t", 0, 1, late, ["missing_email", tricky, "", "NULL", "null"], r"\N", early),
        ("t", 1, 2**62, SENT, None, tricky, late),
        ("t", 2, 3, SENT, ["名", "é", "\U0001f600"], "\\.\n\\.", None),
        ("t", 2, 4, SENT, [None], None, None),
    ]
    records = job_spark.createDataFrame(sent, ALERT_SCHEMA)

    sink(settings, ALERTS).write_batch(batch(records), 0)

    columns = [part.split(" ")[0] for part in ALERT_SCHEMA.split(", ")]
    query = f"SELECT {', '.join(columns)} FROM customers_alerts ORDER BY 2, 3"
    assert rows(settings, query) == sent
    read = read_rows(job_spark, settings, ALERTS).select(*columns).orderBy(columns[1], columns[2])
    assert [tuple(_utc(value) for value in row) for row in read.collect()] == sent


def _utc(value: Any) -> Any:
    """PySpark hands times over in the machine's zone, without saying so."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def test_nul_becomes_the_replacement_character_and_stops_no_job(
    job_spark: SparkSession, settings: Settings
) -> None:
    records = usa(job_spark, ("1", "A\x00nn"), ("\x002", "B"), ("�2", "later, the same id now"))

    sink(settings).write_batch(batch(records), 0)

    assert names(settings) == {"1": "A�nn", "�2": "B"}


def test_table_of_many_rows_is_read_in_parts_whole(
    job_spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark_jobs.sinks.postgres.ROWS_PER_PARTITION", 100)
    with client.connect(settings) as connection:
        query = SQL(
            "INSERT INTO {} (customer_id, kafka_offset) SELECT n, n FROM generate_series(0, 999) n"
        )
        connection.execute(query.format(Identifier("customers_usa")))
        connection.execute("INSERT INTO customers_usa (customer_id) VALUES ('by hand')")

    read = read_rows(job_spark, settings, USA)

    assert read.rdd.getNumPartitions() == 11
    assert read.select("customer_id").distinct().count() == 1001


def test_times_that_no_record_has_are_shown_and_read_without_an_error(
    settings: Settings, job_spark: SparkSession
) -> None:
    far = "294276-01-01 00:00:00+00"
    times = {"A": "infinity", "B": "-infinity", "C": far, "D": "9999-12-31 23:59:59.999+00"}
    for name, at in times.items():
        alter(
            settings,
            "INSERT INTO customers_usa (customer_id, first_name, last_name, email, country,"
            " created_at, kafka_partition, kafka_offset, kafka_timestamp)"
            f" VALUES ('{name}', 'a', 'b', 'c@d', 'USA', '{at}', 0, {2**63 - 1}, '{at}')",
        )
    alter(settings, "UPDATE customers_usa SET created_at = NULL WHERE customer_id = 'A'")

    shown = {row["customer_id"]: row for row in select_rows(settings, "customers_usa")}
    read = {
        row.customer_id: (row.created, row.kafka)
        for row in read_rows(job_spark, settings, USA)
        .selectExpr("customer_id", "string(created_at) created", "string(kafka_timestamp) kafka")
        .collect()
    }

    assert [shown[name]["kafka_timestamp"] for name in "ABC"] == ["infinity", "-infinity", far]
    assert shown["D"]["kafka_timestamp"] == datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    elsewhere = "+20000-01-01 00:00:00"
    assert read == {
        "A": (None, elsewhere),
        "B": (elsewhere, elsewhere),
        "C": (elsewhere, elsewhere),
        "D": ("9999-12-31 23:59:59.999",) * 2,
    }
