"""Small batches, whose rows the driver holds and whose writes are planned once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.planned import planned
from spark_jobs.run import batch_writer, few_rows
from spark_jobs.run.few_rows import FewRows
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.targets import Table
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import SENT_MS, ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

SINKS = ("cassandra", "mongodb", "postgres")


def test_rows_of_each_batch_are_those_of_one_data_frame(job_spark: SparkSession) -> None:
    few = FewRows()
    first = job_spark.sql(
        "SELECT 1 AS number, 'a' AS text, array('x', NULL) AS list, X'00FF' AS bytes"
        " UNION ALL SELECT NULL, NULL, NULL, NULL"
    )

    rows = few.of(first)
    assert rows is not None
    assert rows.schema == first.schema
    assert rows.collect() == [(1, "a", ["x", None], b"\x00\xff"), (None, None, None, None)]

    second = job_spark.sql("SELECT 2 AS number, 'b' AS text, array('y') AS list, X'01' AS bytes")
    assert few.of(second) is rows
    assert rows.collect() == [(2, "b", ["y"], b"\x01")]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(few_rows.INTERPRETED_MESSAGES, id="interpreted"),
        pytest.param(few_rows.INTERPRETED_MESSAGES + 1, id="compiled"),
    ],
)
def test_only_larger_batches_are_compiled(job_spark: SparkSession, messages: int) -> None:
    own = job_spark.newSession()
    own.conf.set("spark.sql.codegen.wholeStage", "false")
    jvm: Any = own._jvm  # noqa: SLF001
    compiled = jvm.org.apache.spark.metrics.source.CodegenMetrics.METRIC_COMPILATION_TIME()
    batch = own.range(3).select(F.col("id") + messages)
    before = compiled.getCount()
    context: Any = own.sparkContext
    # As Spark has it while it runs a batch.
    context.setLocalProperty("spark.sql.execution.id", "1000000")

    try:
        with few_rows.interpreted(own, messages):
            rows = FewRows().of(batch)
    finally:
        context.setLocalProperty("spark.sql.execution.id", None)

    assert (compiled.getCount() > before) is (messages > few_rows.INTERPRETED_MESSAGES)
    assert context.getLocalProperty(few_rows.MODE) is None
    assert rows is not None
    assert rows.collect() == [(number + messages,) for number in range(3)]


def test_what_is_made_of_them_is_planned_once_and_computed_for_each_batch(
    job_spark: SparkSession,
) -> None:
    few, plans = FewRows(), []

    def total(rows: DataFrame) -> DataFrame:
        plans.append(rows)
        return rows.groupBy().agg(F.sum("id").alias("total"))

    totals = []
    for start in (0, 100):
        rows = few.of(job_spark.range(start, start + 4))
        assert rows is not None
        made = planned(rows, "total", total)
        totals.append(made.first())

    assert totals == [(0 + 1 + 2 + 3,), (100 + 101 + 102 + 103,)]
    assert len(plans) == 1
    assert "Exchange" not in made._jdf.queryExecution().executedPlan().toString()  # noqa: SLF001


def test_few_rows_that_are_large_are_left_to_spark(
    job_spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few_rows, "MOST_BYTES", 4096)
    few = FewRows()
    repeated = "SELECT id, repeat('x', {}) AS text FROM range({})"

    # One row that is too large, and rows that are too large together, in several tasks.
    assert few.of(job_spark.sql(repeated.format(5000, 1))) is None
    assert few.of(job_spark.sql(repeated.format(600, 8))) is None
    rows = few.of(job_spark.sql(repeated.format(300, 8)))
    assert rows is not None
    assert rows.count() == 8


def test_few_and_many_messages_are_stored_alike(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = stored(make_world(TICKETS))
    monkeypatch.setattr(batch_writer, "FEW_MESSAGES", 0)

    assert stored(make_world(TICKETS)) == contents
    assert len(contents["tickets"]) == len(contents["postgres"]) == 8
    assert [reasons for reasons, *_ in contents["letters"]] == ["invalid_priority", "unparseable"]


def test_rows_that_are_too_large_to_hold_are_stored_alike_and_not_tried_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, tried, hold = stored(make_world(TICKETS)), [], FewRows.of

    def noted(few: FewRows, *arguments: Any) -> DataFrame | None:
        tried.append(few)
        return hold(few, *arguments)

    monkeypatch.setattr(FewRows, "of", noted)
    monkeypatch.setattr(few_rows, "MOST_BYTES", 1)

    assert stored(make_world(TICKETS)) == contents
    assert len(tried) == 1


def test_small_batches_are_planned_before_the_first_one(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, plan = set(), Table.rows

    def noted(table: Table, records: DataFrame) -> DataFrame:
        threads.add(threading.current_thread().name)
        return plan(table, records)

    monkeypatch.setattr(Table, "rows", noted)
    stored(make_world(TICKETS))

    assert threads == {batch_writer.REHEARSAL}


def test_a_store_that_fails_while_they_are_planned_is_asked_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = stored(make_world(TICKETS))

    def refuse(sink: CassandraSink, batch: Batch) -> None:
        raise ConnectionError

    monkeypatch.setattr(CassandraSink, "rehearse", refuse)

    assert stored(make_world(TICKETS)) == contents


def stored(world: World) -> dict[str, Any]:
    """What three batches become: eight tickets, a duplicate, two rejected."""
    good = [ticket(f"T-{n}", request="é\t\\\n" * (n + 1), priority="low") for n in range(8)]
    bad = [(b"k", b"no JSON"), ticket("BAD", priority="none")]
    world.send(*good[:4], good[0], *bad, *good[4:], partition=0, timestamp_ms=SENT_MS)
    world.process(sinks=SINKS, max_records_per_batch=4)
    return {
        "tickets": sorted(world.rows("tickets"), key=str),
        "by team": sorted(world.rows("tickets_by_team"), key=str),
        "postgres": sorted(world.sql("SELECT * FROM tickets"), key=str),
        "counts": {key: d["count"] for key, d in world.documents("tickets_by_priority").items()},
        "letters": sorted((h["reasons"], key, value) for key, value, h in world.dead_letters()),
        "summaries": sorted(d["reasons"] for d in world.documents("dead_letters").values()),
        "read": world.totals(),
    }
