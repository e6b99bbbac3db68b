"""A document for each dead letter, however often its batch comes."""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession

from spark_jobs.sinks.dead_letters import store_summaries
from spark_jobs.tickets import TICKETS
from tests.support.pipelines import MakeWorld

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COLUMNS = (
    "kafka_topic string, kafka_partition int, kafka_offset bigint, kafka_timestamp_ms bigint,"
    " reasons array<string>"
)


def _rejected(spark: SparkSession, **reasons: str) -> DataFrame:
    at = int(NOON.timestamp() * 1000)
    rows = [("t", 0, int(name.removeprefix("at_")), at, [why]) for name, why in reasons.items()]
    return spark.createDataFrame(rows, COLUMNS)


def test_letters_that_are_there_are_set_and_new_ones_are_added(
    make_world: MakeWorld, job_spark: SparkSession
) -> None:
    world = make_world(TICKETS)
    store_summaries(_rejected(job_spark, at_1="unparseable", at_2="unparseable"), world.database, 0)
    world.database["dead_letters"].update_one({"_id": "t/0/1"}, {"$set": {"note": "kept"}})

    again = _rejected(job_spark, at_1="invalid_client_id", at_3="missing_request")
    store_summaries(again, world.database, 1)

    stored = world.documents("dead_letters")
    assert {key: document["reasons"] for key, document in stored.items()} == {
        "t/0/1": ["invalid_client_id"],
        "t/0/2": ["unparseable"],
        "t/0/3": ["missing_request"],
    }
    assert stored["t/0/1"]["note"] == "kept"
    assert stored["t/0/1"]["source_timestamp"] == NOON
