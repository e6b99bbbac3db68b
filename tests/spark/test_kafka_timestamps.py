"""A Kafka timestamp outside 1970-9999 is a reason of its own, in every pipeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.customers import CUSTOMERS
from spark_jobs.sinks.dead_letters import select_dead_letters
from spark_jobs.transforms.customers import classify_customers
from spark_jobs.transforms.profiles import classify_profiles
from spark_jobs.transforms.tickets import classify_tickets
from tests.spark.test_profiles import KEYED
from tests.support.builders import customer, payload, profile, ticket

Frame = Callable[..., DataFrame]


def judged_profiles(messages: DataFrame) -> DataFrame:
    return classify_profiles(messages, digests=KEYED)


# Valid, invalid, too young, incomplete, of elsewhere, unreadable, and nothing at all.
CASES: list[tuple[Callable[[DataFrame], DataFrame], list[Any]]] = [
    (classify_tickets, [ticket(), ticket(priority="?"), ticket(created_at=...), "no JSON", None]),
    (
        judged_profiles,
        [profile(), profile(dob__date="2020-01-01T00:00:00Z"), profile(email=1), "{", None],
    ),
    (classify_customers, [customer(), customer(email=...), customer(country="France"), b"\xff"]),
]


@pytest.mark.parametrize(("classify", "records"), CASES, ids=["tickets", "profiles", "customers"])
def test_whatever_such_a_message_holds_it_is_a_dead_letter_for_that_reason_alone(
    frame: Frame, classify: Callable[[DataFrame], DataFrame], records: list[Any]
) -> None:
    rows = classify(frame(records, at=1_795_342_500_000_000)).orderBy("kafka_offset").collect()

    assert [(row.outcome, row.reasons) for row in rows] == [
        ("rejected", ["invalid_kafka_timestamp"])
    ] * len(records)
    kept = [None if row.value is None else bytes(row.value) for row in rows]
    assert kept == [payload(record) for record in records]
    assert {row.kafka_timestamp_ms for row in rows} == {1_795_342_500_000_000}


@pytest.mark.parametrize(
    "at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)]
)
def test_first_and_last_instant_of_the_range_are_no_reason(frame: Frame, at: datetime) -> None:
    record = ticket(created_at="1970-01-02T00:00:00Z")

    tickets = classify_tickets(frame([record, "no JSON"], at=at)).orderBy("kafka_offset").collect()
    customers = classify_customers(frame([customer()], at=at)).collect()
    # Born in 1950 they are 20 or 8049 years old.
    profiles = judged_profiles(frame([profile(dob__date="1950-01-01T00:00:00Z")], at=at)).collect()

    assert [row.reasons for row in tickets] == [[], ["unparseable"]]
    assert [row.outcome for row in (*customers, *profiles)] == ["valid", "valid"]
    assert profiles[0].age == at.year - 1950


@pytest.mark.parametrize("number", [-(2**63), -1, 253_402_300_800_000, 2**63 - 1])
def test_dead_letter_keeps_the_number_as_it_came(frame: Frame, number: int) -> None:
    letters = select_dead_letters(classify_tickets(frame([ticket()], at=number)))

    (headers,) = letters.select(F.map_from_entries("headers").alias("h")).first()  # type: ignore[misc]
    texts = {name: bytes(value).decode() for name, value in headers.items()}
    assert texts["source_timestamp"] == str(number)
    assert texts["reasons"] == "invalid_kafka_timestamp"


def test_customers_count_such_a_message_as_dead_letter_not_as_alert(frame: Frame) -> None:
    classified = classify_customers(frame([customer(email=...), customer()], at=-1))

    summary = CUSTOMERS.roll_up(row.asDict() for row in CUSTOMERS.summarise(classified).collect())

    assert (summary.stored, summary.outcomes["rejected"]) == (0, 2)
    assert summary.reasons == {"invalid_kafka_timestamp": 2}
