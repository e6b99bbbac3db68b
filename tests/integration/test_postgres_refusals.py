"""What PostgreSQL refuses or does not answer: fault and fix, never a value or a password."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from errors import SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.sinks.postgres import jdbc_options, read_rows
from sql import client
from tests.conftest import free_ports
from tests.support.postgres import MakeDatabase
from tests.support.postgres_sink import USA, alter, batch, names, sink, usa


@pytest.fixture
def settings(postgres_server: Settings, make_database: MakeDatabase) -> Settings:
    return postgres_server.model_copy(update={"postgres_dsn": make_database()})


def test_store_that_is_away_is_an_outage(job_spark: SparkSession, settings: Settings) -> None:
    (port,) = free_ports(1)
    away = settings.model_copy(
        update={"postgres_dsn": type(settings.postgres_dsn)(f"postgresql://x@127.0.0.1:{port}/x")}
    )

    with pytest.raises(SinkUnavailable, match="make up"):
        sink(away).check()
    with pytest.raises(SinkUnavailable, match="make up"):
        sink(away).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DROP TABLE customers_usa", "no table `customers_usa`"),
        ("DROP TABLE millrace_batches", "no table `millrace_batches`"),
        ("ALTER TABLE customers_usa DROP first_name", "no column `customers_usa.first_name`"),
        (
            "ALTER TABLE customers_usa ALTER kafka_offset TYPE int",
            "`customers_usa.kafka_offset` is integer, not bigint",
        ),
        (
            "ALTER TABLE customers_usa DROP CONSTRAINT customers_usa_pkey",
            "the primary key of `customers_usa` is not customer_id",
        ),
    ],
)
def test_table_that_differs_is_refused_before_and_while_writing(
    job_spark: SparkSession, settings: Settings, statement: str, fault: str
) -> None:
    sink(settings).check()
    alter(settings, statement)

    with pytest.raises(SinkRejected, match="`make up` creates what is missing") as refused:
        sink(settings).check()
    assert fault in str(refused.value)


def test_refusal_of_a_row_does_not_show_its_values(
    job_spark: SparkSession, settings: Settings
) -> None:
    alter(settings, "ALTER TABLE customers_usa ALTER first_name TYPE int USING NULL")

    with pytest.raises(SinkRejected, match="Nothing is lost") as refused:
        sink(settings).write_batch(batch(usa(job_spark, ("1", "never to be shown"))), 0)

    assert "never to be shown" not in str(refused.value)
    assert "never to be shown" not in (settings.millrace_home / "logs/postgres.log").read_text()
    alter(settings, "ALTER TABLE customers_usa ALTER first_name TYPE text")
    sink(settings).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)
    assert names(settings) == {"1": "Ann"}


def test_row_without_its_key_is_refused(job_spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(SinkRejected, match=r"refused to take batch 0.*23502"):
        sink(settings).write_batch(batch(usa(job_spark, (None, "Ann"))), 0)


def test_password_is_in_no_error_plan_or_representation(
    job_spark: SparkSession, settings: Settings
) -> None:
    password = client.login(settings).password
    assert password
    sink(settings).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)
    read = read_rows(job_spark, settings, USA)
    assert read.count() == 1

    texts = [repr(settings), repr(sink(settings)), repr(client.login(settings))]
    plan = read._jdf.queryExecution()  # noqa: SLF001 - PySpark has no public way
    texts += [plan.toString(), plan.analyzed().toJSON()]
    texts += [jdbc_options(settings)["url"]]
    for text in texts:
        assert password not in text
        assert "s%40cret" not in text
