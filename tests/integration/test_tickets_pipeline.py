"""Tickets from the topic to every store, by the real job."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from errors import JobError
from spark_jobs.planned import FEW_MESSAGES
from spark_jobs.run import batch_writer
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.support.pipelines import MakeWorld

# 2026-11-22T10:15:00Z, as Kafka's clock for messages that the tests date themselves.
SENT_MS = 1_795_342_500_000


def ticket(ticket_id: str, **changes: Any) -> tuple[bytes, bytes]:
    record = {
        "ticket_id": ticket_id,
        "client_id": "CLIENT_7",
        "created_at": "2026-11-22T10:05:00.123Z",
        "request": "The invoice is wrong",
        "request_type": "billing",
        "priority": "high",
    } | changes
    return str(record["client_id"]).encode(), json.dumps(record).encode()


@pytest.mark.quick
def test_valid_ticket_is_in_both_tables_with_team_and_lineage(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("T-1", priority="CRITICAL"), partition=1, timestamp_ms=SENT_MS)

    world.process()

    expected = {
        "ticket_id": "T-1",
        "client_id": "CLIENT_7",
        "created_at": datetime(2026, 11, 22, 10, 5, 0, 123000),  # noqa: DTZ001 - as the driver gives
        "request": "The invoice is wrong",
        "request_type": "billing",
        "priority": "critical",
        "assigned_team": "Billing",
        "kafka_partition": 1,
        "kafka_offset": 0,
        "kafka_timestamp": datetime(2026, 11, 22, 10, 15),  # noqa: DTZ001
    }
    assert world.rows("tickets") == [expected]
    hour = {"created_hour": datetime(2026, 11, 22, 10)}  # noqa: DTZ001
    assert world.rows("tickets_by_team") == [expected | hour]


def test_aggregates_are_by_utc_day_of_creation(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(
        ticket("A", created_at="2026-11-22T23:59:59Z", client_id="C1"),
        ticket("B", created_at="2026-11-22T23:30:00-01:00", client_id="C1", priority="critical"),
        ticket("C", created_at="2026-11-22T01:00:00Z", client_id="C2", request_type="compte"),
        timestamp_ms=SENT_MS,
    )

    world.process()

    by_team = world.documents("tickets_by_team")
    assert {key: d["count"] for key, d in by_team.items()} == {
        "2026-11-22|Billing": 1,
        "2026-11-23|Billing": 1,
        "2026-11-22|Account Management": 1,
    }
    assert by_team["2026-11-22|Account Management"]["assigned_team"] == "Account Management"
    assert by_team["2026-11-22|Account Management"]["day"] == "2026-11-22"
    by_priority = world.documents("tickets_by_priority")
    assert {key: d["count"] for key, d in by_priority.items()} == {
        "2026-11-22|high": 2,
        "2026-11-23|critical": 1,
    }
    metrics = world.documents("ticket_metrics")
    names = (
        "day total_tickets billing_count technical_count account_count general_count"
        " critical_priority_count unique_clients"
    ).split()
    assert {key: [d[name] for name in names] for key, d in metrics.items()} == {
        "2026-11-22": ["2026-11-22", 2, 1, 0, 1, 0, 0, 2],
        "2026-11-23": ["2026-11-23", 1, 1, 0, 0, 0, 1, 1],
    }


def test_rejected_messages_are_kept_byte_for_byte_with_reasons(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    garbage = b"\xff\xfe not json\r\n"
    large = json.dumps({"ticket_id": "BIG", "request": "x" * 1_000_000}).encode()
    world.send((None, garbage), partition=0, timestamp_ms=SENT_MS)
    world.send((b"k", None), partition=1, timestamp_ms=SENT_MS)
    world.send((b"\x00", large), partition=2, timestamp_ms=SENT_MS)

    world.process()

    base = {"source_topic": world.topic, "source_offset": "0", "redrives": "0"} | {
        "source_timestamp": str(SENT_MS)
    }
    found = sorted(world.dead_letters(), key=lambda letter: letter[2]["source_partition"])
    large_reasons = (
        "missing_client_id,missing_created_at,invalid_request,missing_request_type,missing_priority"
    )
    assert found == [
        (None, garbage, base | {"reasons": "unparseable", "source_partition": "0"}),
        (b"k", None, base | {"reasons": "unparseable", "source_partition": "1"}),
        (b"\x00", large, base | {"reasons": large_reasons, "source_partition": "2"}),
    ]
    summaries = world.documents("dead_letters")
    assert summaries[f"{world.topic}/0/0"] == {
        "_id": f"{world.topic}/0/0",
        "source_topic": world.topic,
        "reasons": ["unparseable"],
        "source_timestamp": datetime(2026, 11, 22, 10, 15, tzinfo=UTC),
    }
    assert len(summaries) == 3
    assert world.rows("tickets") == []


@pytest.mark.quick
def test_first_arrival_of_an_id_is_stored_and_later_ones_are_counted(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("D", request="second"), partition=0, timestamp_ms=SENT_MS + 1)
    world.send(ticket("D", request="first"), partition=2, timestamp_ms=SENT_MS)
    world.process()
    world.send(ticket("D", request="third"), partition=1, timestamp_ms=SENT_MS - 5)

    world.process()

    assert [row["request"] for row in world.rows("tickets")] == ["first"]
    assert [row["request"] for row in world.rows("tickets_by_team")] == ["first"]
    assert world.totals() == Counts(read=3, stored=1, duplicates=2)
    assert world.documents("tickets_by_team")["2026-11-22|Billing"]["count"] == 1


def test_redrives_header_of_the_source_message_is_kept(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send((b"k", b"[]"), headers=[("redrives", b"2")])

    world.process()

    assert [headers["redrives"] for _, _, headers in world.dead_letters()] == ["2"]


@pytest.mark.parametrize("few", [0, FEW_MESSAGES], ids=["connector", "direct"])
def test_nearly_empty_tickets_do_not_make_batches_too_large_for_cassandra(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Cassandra counts an overhead for each row: small rows once filled a batch beyond 50 KiB."""
    monkeypatch.setattr(batch_writer, "FEW_MESSAGES", few)
    world = make_world(TICKETS)
    world.send(*[ticket(str(n), client_id="C1", request="x") for n in range(3000)], partition=0)

    world.process()

    assert len(world.rows("tickets")) == 3000
    assert len(world.rows("tickets_by_team")) == 3000


def test_ledger_covers_the_offsets_without_hole_or_overlap(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    for number in range(7):
        world.send(ticket(f"T{number}"), partition=number % 3)

    world.process(max_records_per_batch=3)
    world.send(ticket("LAST"), partition=0)
    world.process(max_records_per_batch=3)

    entries = Ledger(world.database, "tickets").entries()
    assert len(entries) >= 3
    reached = {0: 0, 1: 0, 2: 0}
    for entry in entries:
        for partition, (start, end) in entry.offsets.items():
            assert start == reached[partition]
            reached[partition] = end
    assert reached == {0: 4, 1: 2, 2: 2}
    assert sum(entry.counts.read for entry in entries) == 8


def test_lost_checkpoint_is_refused_before_anything_is_counted_twice(
    make_world: MakeWorld,
) -> None:
    import shutil

    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process()
    shutil.rmtree(checkpoint_of(world.settings, world.pipeline.name).path)

    with pytest.raises(JobError, match=r"checkpoint .* is gone"):
        world.process()

    assert [d["count"] for d in world.documents("tickets_by_type").values()] == [1]


def test_emptied_ledger_is_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process()
    world.database["batches"].delete_many({})

    with pytest.raises(JobError, match="the ledger `batches` in MongoDB is empty"):
        world.process()


def test_records_without_ledger_and_checkpoint_are_refused(make_world: MakeWorld) -> None:
    import shutil

    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process()
    world.database["batches"].delete_many({})
    shutil.rmtree(checkpoint_of(world.settings, world.pipeline.name).path)

    with pytest.raises(JobError, match="Cassandra holds records"):
        world.process()


def test_missing_topic_is_named(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)

    with pytest.raises(JobError, match="no topic `not-there`"):
        world.process(tickets_topic="not-there")


def test_clock_that_once_stood_ahead_does_not_drop_tickets(make_world: MakeWorld) -> None:
    """The watermark in the checkpoint lies a year ahead, as after a clock set wrong and right."""
    world = make_world(TICKETS)
    world.send(ticket("A"))
    world.process()
    world.send(ticket("B"))
    world.process()
    checkpoint = checkpoint_of(world.settings, world.pipeline.name)
    last = checkpoint.path / "offsets" / str(checkpoint.last_planned())
    version, metadata, offsets = last.read_text().splitlines()
    ahead = json.loads(metadata) | {"batchWatermarkMs": 4_102_444_800_000}
    last.write_text("\n".join([version, json.dumps(ahead), offsets]))
    (checkpoint.path / "offsets" / f".{last.name}.crc").unlink(missing_ok=True)
    commit = checkpoint.path / "commits" / last.name
    commit.write_text('v1\n{"nextBatchWatermarkMs":4102444800000}')
    (checkpoint.path / "commits" / f".{last.name}.crc").unlink(missing_ok=True)
    world.send(ticket("C"), ticket("A"))

    world.process()

    assert sorted(row["ticket_id"] for row in world.rows("tickets")) == ["A", "B", "C"]
    assert world.totals() == Counts(read=4, stored=3, duplicates=1)
