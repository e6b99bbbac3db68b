"""Kafka timestamps and stored times that no calendar has: nothing stops, all is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cql.rows import select_rows
from errors import JobError
from operations.dead_letters.dead_letters import run_dead_letters
from operations.dead_letters.reader import read_dead_letters
from operations.options import build_parser
from operations.show import RowFilter, show
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.customers import CUSTOMERS
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.sources.kafka import read_messages
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_replay import replayed
from tests.integration.test_verify import account_of
from tests.support.builders import customer, payload, profile, ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

FIRST_MS, LAST_MS = 0, 253_402_300_799_999
NANOSECONDS = 1_795_342_500_000_000_000
FOREIGN = (-(2**63), -1, LAST_MS + 1, NANOSECONDS // 1000, NANOSECONDS, 2**63 - 1)
FAR_MS = 9_404_654_400_000_000


def ticket_of(number: int) -> dict[str, Any]:
    return ticket(ticket_id=f"T{number}", created_at="1970-01-01T00:00:00Z")


def profile_of(number: int) -> dict[str, Any]:
    uuid = f"a7155000-95f4-4b29-9d80-0aa0c2ee9f{number:02d}"
    return profile(login__uuid=uuid, dob__date="1950-01-01T00:00:00Z")


def customer_of(number: int) -> dict[str, Any]:
    return customer(customer_id=f"CUST-{number}")


def sent_over_all(world: World, record_of: Callable[[int], dict[str, Any]]) -> None:
    """A valid record and an unreadable one with each foreign timestamp, and one with the last."""
    for number, at in enumerate(FOREIGN):
        world.send(
            (b"k", payload(record_of(number))), (b"k", b"no JSON"), partition=0, timestamp_ms=at
        )
    world.send((b"k", payload(record_of(90))), partition=0, timestamp_ms=LAST_MS)
    world.process()


@pytest.mark.parametrize(
    ("pipeline", "record_of"),
    [(TICKETS, ticket_of), (PROFILES, profile_of), (CUSTOMERS, customer_of)],
    ids=["tickets", "profiles", "customers"],
)
def test_foreign_timestamps_are_dead_letters_that_can_be_shown_proven_and_redriven(
    make_world: MakeWorld,
    pipeline: Pipeline,
    record_of: Callable[[int], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = make_world(pipeline)
    sent_over_all(world, record_of)

    reasons = {"invalid_kafka_timestamp": 12}
    assert world.totals() == Counts(read=13, stored=1, dead_lettered=12, reasons=reasons)
    timestamps = sorted(int(headers["source_timestamp"]) for _, _, headers in world.dead_letters())
    assert timestamps == sorted(2 * FOREIGN)
    summaries = world.documents("dead_letters")
    assert {key: document["source_timestamp"] for key, document in summaries.items()} == {
        f"{world.topic}/0/{2 * number + place}": str(at)
        for number, at in enumerate(FOREIGN)
        for place in (0, 1)
    }
    assert account_of(world).faults == []

    capsys.readouterr()
    for what in (world.topic, dead_letter_topic(world.topic)):
        assert show(world.settings, what, RowFilter({}, 50), "json") == 0
        shown = [json.loads(line)["timestamp"] for line in capsys.readouterr().out.splitlines()]
        assert {str(at) for at in FOREIGN} <= set(shown)

    arguments = ["dead-letters", "redrive", "--topic", world.topic]
    arguments += ["--reason", "invalid_kafka_timestamp"]
    assert run_dead_letters(world.settings, build_parser().parse_args(arguments)) == 0
    world.process()

    # Sent again now, the records are valid; what was no JSON still is none.
    assert world.totals() == Counts(
        read=25, stored=7, dead_lettered=18, reasons={**reasons, "unparseable": 6}
    )
    assert account_of(world).faults == []


def test_replay_by_time_goes_over_foreign_timestamps(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    sent_over_all(world, ticket_of)
    world.send((b"k", payload(ticket_of(91))), partition=1, timestamp_ms=FIRST_MS + 1)
    world.process()
    world.session.execute(f"TRUNCATE {world.keyspace}.tickets")

    assert replayed(world, "cassandra", start="1960-01-01").written == {"rows in each table": 2}

    assert sorted(row["ticket_id"] for row in world.rows("tickets")) == ["T90", "T91"]
    assert account_of(world).faults == []


def test_headers_of_others_change_no_number_and_no_timestamp(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    forged = [("millrace-timestamp", b"99"), ("redrives", b"7"), ("redrives", b"\xff")]
    world.send((b"k", b"no JSON"), partition=0, timestamp_ms=5, headers=forged)
    world.send((b"k", b"no JSON"), partition=0, timestamp_ms=NANOSECONDS, headers=forged)
    world.send((b"k", b"no JSON"), partition=0, headers=[("redrives", b"1" + b"0" * 30)])
    world.process()

    letters = sorted(world.dead_letters(), key=lambda letter: letter[2]["source_offset"])
    assert [headers["source_timestamp"] for _, _, headers in letters[:2]] == ["5", str(NANOSECONDS)]
    assert [headers["redrives"] for _, _, headers in letters] == ["0", "0", "0"]


BROKEN_HEADERS: list[dict[str, bytes | None]] = [
    {"source_timestamp": b"abc"},
    {"source_timestamp": b""},
    {"source_timestamp": None},
    {"source_timestamp": b"1" + b"0" * 30},
    {"source_offset": b"1" + b"0" * 30},
    {"source_offset": b"\xff"},
    {"redrives": b"1" + b"0" * 30},
    {"reasons": b"\xff"},
    {"source_topic": b"\xff"},
]


def test_letters_that_no_job_wrote_are_shown_and_passed_over(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(TICKETS)
    producer = Producer(world.settings.kafka_client_options())
    usual: dict[str, str | bytes | None] = {
        "reasons": b"unparseable",
        "source_topic": world.topic.encode(),
        "source_partition": b"0",
        "source_offset": b"0",
        "source_timestamp": b"-7",
        "redrives": b"%d" % 2**40,
    }
    for changes in ({}, *BROKEN_HEADERS):
        producer.produce(dead_letter_topic(world.topic), b"x", headers={**usual, **changes})
    assert producer.flush(30) == 0

    (letter,) = read_dead_letters(world.settings, world.topic)

    assert (letter.timestamp, letter.redrives, letter.state) == ("-7", 2**40, "parked")
    assert show(world.settings, dead_letter_topic(world.topic), RowFilter({}, 50), "json") == 0
    shown = [json.loads(line)["timestamp"] for line in capsys.readouterr().out.splitlines()]
    assert len(shown) == 1 + len(BROKEN_HEADERS)
    assert {"abc", "", "-7", "1" + "0" * 30} <= set(shown)


def test_verify_names_rows_with_times_that_spark_cannot_read(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send((b"k", payload(ticket())), partition=0)
    world.process()
    for ticket_id, at in (("FAR", FAR_MS), ("NEAR", LAST_MS + 1)):
        world.session.execute(
            f"INSERT INTO {world.keyspace}.tickets (ticket_id, created_at, kafka_partition,"
            " kafka_offset, kafka_timestamp) VALUES (%s, %s, 0, 0, %s)",
            [ticket_id, at, at],
        )
    world.database["dead_letters"].insert_many(
        [{"_id": 17, "source_topic": world.topic}, {"source_topic": world.topic, "reasons": 5}]
    )

    faults = account_of(world).faults

    place = f"Cassandra {world.keyspace}.tickets"
    assert [fault for fault in faults if place in fault] == [
        f"{place}: `FAR` has a time that Spark cannot read, so no table was compared: delete the"
        " row or correct it"
    ]
    rows = select_rows(world.session, world.keyspace, "tickets")
    times = {row["ticket_id"]: row["created_at"] for row in rows}
    assert times["FAR"] == str(FAR_MS)
    assert times["NEAR"] == str(LAST_MS + 1)
    world.session.execute(f"DELETE FROM {world.keyspace}.tickets WHERE ticket_id = 'FAR'")
    assert any(f"{place}: `NEAR` is there" in fault for fault in account_of(world).faults)


def test_column_that_a_user_has_added_to_a_table_is_not_read(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send((b"k", payload(ticket())), partition=0)
    world.process()
    table = f"{world.keyspace}.tickets"
    world.session.execute(f"ALTER TABLE {table} ADD seen timestamp")
    [row] = select_rows(world.session, world.keyspace, "tickets")
    seen = f"UPDATE {table} SET seen = %s WHERE ticket_id = %s"
    world.session.execute(seen, [FAR_MS, row["ticket_id"]])

    assert account_of(world).faults == []


def raised_at(text: bytes) -> Callable[[DataFrame, Any], DataFrame]:
    """The tickets' own classification, which one value stops."""

    def classify(messages: DataFrame, digests: Any) -> DataFrame:
        value: Column = F.col("value")
        stopped = F.when(value == F.lit(text), F.raise_error(F.lit("no place"))).otherwise(value)
        checked = messages.withColumn("value", stopped.cast("binary"))
        return TICKETS.judge(checked, digests)

    return classify


def test_job_that_one_message_stops_names_its_place(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    broken = replace(world, pipeline=replace(world.pipeline, classify_by=raised_at(b"boom")))
    for number in range(9):
        world.send((b"k", payload(ticket_of(number))), partition=number % 2)
    world.send((b"k", b"boom"), (b"k", b"no JSON"), partition=1)

    with pytest.raises(JobError, match=rf"first message that fails is `{world.topic}/1/4`"):
        broken.process()

    assert world.totals() == Counts()


def test_batch_reads_and_counts_are_the_same_whatever_the_timestamp(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    for at in (*FOREIGN, FIRST_MS + 1, LAST_MS):
        world.send((b"k", b"x"), partition=0, timestamp_ms=at)

    messages = read_messages(world.spark, world.settings, world.topic, {0: (0, 8)})

    rows = messages.orderBy("kafka_offset").select("kafka_timestamp", "kafka_timestamp_ms")
    found = [(row[0] is not None, row[1]) for row in rows.collect()]
    assert found == [(False, at) for at in FOREIGN] + [(True, 1), (True, LAST_MS)]
    last = rows.select(F.date_format("kafka_timestamp", "yyyy-MM-dd HH:mm:ss.SSS")).tail(1)
    assert last[0][0] == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).strftime("%F %T.999")
