"""Generated records before the contract's own judge: clean ones valid, faulty ones as foreseen."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from pyspark.sql import SparkSession

from producers.record_faults import KINDS
from producers.record_generator import RecordGenerator
from schemas.spark import MESSAGE_SCHEMA
from spark_jobs.transforms.pseudonymise import Digests
from spark_jobs.transforms.records import classify_records
from tests.support.builders import NOON, messages
from tests.support.rich_contracts import rich_contract

COUNT = 300
NAMES = ["orders", "readings", "members"]


def judged(spark: SparkSession, name: str, values: list[bytes]) -> list[Any]:
    frame = spark.createDataFrame(messages(values), MESSAGE_SCHEMA)
    rows = classify_records(frame, rich_contract(name), Digests.hmac_sha256("key"))
    return rows.orderBy("kafka_offset").collect()


def generator(name: str, **options: Any) -> RecordGenerator:
    return RecordGenerator(
        rich_contract(name), 7, count=COUNT, now=NOON - timedelta(seconds=1), **options
    )


@pytest.mark.parametrize("name", NAMES)
def test_clean_records_are_valid_and_their_keys_are_their_ids(
    spark: SparkSession, name: str
) -> None:
    made = [*generator(name).messages()]

    rows = judged(spark, name, [message.value for message in made])

    assert [row.reasons for row in rows] == [[]] * COUNT
    assert len({row.record_id for row in rows}) == COUNT
    if name == "orders":
        assert [row.record_id.encode() for row in rows] == [message.key for message in made]


@pytest.mark.parametrize("name", NAMES)
def test_faulty_records_are_rejected_with_the_reasons_that_were_foreseen(
    spark: SparkSession, name: str
) -> None:
    made = [*islice(generator(name).faulty(), COUNT)]

    rows = judged(spark, name, [message.value for _, message in made])

    wrong = [
        (fault.kind, fault.reasons, row.reasons, message.value)
        for (fault, message), row in zip(made, rows, strict=True)
        if [*fault.reasons] != row.reasons
    ]
    assert wrong == []
    assert {fault.kind for fault, _ in made} == {*KINDS}
