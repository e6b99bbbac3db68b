"""`make verify` where dead letters or files were changed from outside: each is named once, and
whatever cannot be read keeps nothing else from being compared."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from operations.pipelines import read_topic
from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from runtime.config.topic_names import dead_letter_topic
from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import SENT_MS, ticket
from tests.support.pipelines import MakeWorld
from tests.support.world import World

SET = "tickets_with_assignment"


def account_of(world: World, **away: str) -> Account:
    pipelines = [world.pipeline]
    (account,) = take_accounts(world.settings, world.database, world.spark, pipelines, away)
    return account


def put_letter(world: World, value: bytes, headers: dict[str, Any]) -> None:
    """One more message on the dead-letter topic."""
    producer = Producer(world.settings.kafka_client_options())
    texts = [(name, str(text).encode()) for name, text in headers.items()]
    producer.produce(dead_letter_topic(world.topic), value=value, headers=texts, partition=0)
    assert producer.flush(30) == 0


def test_dead_letters_are_compared_with_their_messages_by_content(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    broken = (b"k", b"not json"), (None, b"{}"), (b"k", None), (b"", b"[]")
    world.send(profile(), *broken, partition=0, timestamp_ms=SENT_MS)
    world.process()
    world.send((b"k", b"again"), partition=0, headers=[("redrives", b"2")])
    world.process()
    topic, name = world.topic, dead_letter_topic(world.topic)
    kept = {h["source_offset"]: (value, h) for _, value, h in world.dead_letters()}
    put_letter(world, *kept["4"])  # with another key
    put_letter(world, *kept["2"])  # a copy
    assert account_of(world).faults == [
        f"Kafka {name}: `{topic}/0/4` differs from its source message in key or value"
    ]

    put_letter(world, b"again", kept["5"][1] | {"redrives": 0})
    put_letter(world, b"Jane Doe", {"reasons": "unparseable"})
    letters = read_topic(world.settings, name)
    (strange,) = [m for m in letters if m.value() == b"Jane Doe"]
    documents = world.database["dead_letters"]
    documents.update_one({"_id": f"{topic}/0/1"}, {"$set": {"reasons": ["missing_email"]}})
    documents.update_one({"_id": f"{topic}/0/2"}, {"$set": {"source_timestamp": str(SENT_MS)}})
    documents.delete_one({"_id": f"{topic}/0/3"})
    foreign = {"source_topic": topic, "reasons": ["unparseable"], "source_timestamp": "-1"}
    documents.insert_many([{"_id": f"{topic}/0/1x", **foreign}, {"_id": "s/0/1", **foreign}])
    documents.insert_one({"_id": f"{topic}/0/70", **foreign})

    in_mongodb = f"MongoDB {world.keyspace}.dead_letters ({topic})"
    assert account_of(world).faults == [
        f"{in_mongodb}: the number of documents is 4, the ledger says 5 (-1)",
        f"Kafka {name}: `{name}/0/{strange.offset()}` is there, but its headers name no message of"
        f" {topic}: no job wrote it",
        f"Kafka {name}: `{topic}/0/4` differs from its source message in key or value",
        f"Kafka {name}: `{topic}/0/5` differs from its source message in key or value, redrives",
        f"{in_mongodb}: batch 0: 3 dead letters, the ledger says 4 (-1)",
        f"{in_mongodb}: `s/0/1` is there, but names no message of {topic}: no job wrote it",
        f"{in_mongodb}: `{topic}/0/1` differs from its source message in reasons",
        f"{in_mongodb}: `{topic}/0/1x` is there, but names no message of {topic}: no job wrote it",
        f"{in_mongodb}: `{topic}/0/2` differs from its source message in source_timestamp",
        f"{in_mongodb}: `{topic}/0/3` is missing; the source topic holds it as a rejected message",
        f"{in_mongodb}: `{topic}/0/70` belongs to no message, as partition 0 of the topic ends at"
        " 6",
    ]


def tickets_world(make_world: MakeWorld) -> World:
    """Two batches of tickets of two days, in CSV and Parquet."""
    world = make_world(TICKETS)
    settings = world.settings.model_copy(
        update={
            "sinks": ("cassandra", "files", "mongodb"),
            "output_format": ("csv", "parquet"),
        }
    )
    world = dataclasses.replace(world, settings=settings)
    for names in ("AB", "CD"):
        for name, day in zip(names, ("2026-11-21", "2026-11-22"), strict=True):
            at = f"{day}T10:00:00Z"
            world.send(ticket(name, created_at=at, priority="high"), partition=0)
        world.process()
    return world


def file_of(world: World, folder: str, batch_id: int) -> Path:
    (path,) = Path(world.settings.output_path, folder).glob(f"*-{batch_id:010d}-000.*")
    return path


def test_files_that_lie_wrongly_are_named_and_damaged_ones_alone_are_not_compared(
    make_world: MakeWorld,
) -> None:
    world = tickets_world(make_world)
    assert account_of(world).faults == []
    output, source = Path(world.settings.output_path), f"{world.keyspace}.tickets"
    moved = file_of(world, f"{SET}/parquet/day=2026-11-21", 0)
    of_other_day = moved.parent.with_name("day=2026-11-22") / moved.name.replace("-000.", "-001.")
    moved.rename(of_other_day)
    csv = file_of(world, f"{SET}/csv/day=2026-11-22", 1)
    copy = csv.with_name(csv.name.replace("-000.", "-007."))
    shutil.copy(csv, copy)
    late = csv.with_name(csv.name.replace("-0000000001-", "-0000000009-"))
    shutil.copy(csv, late)
    (output / SET / "csv" / "other=1").mkdir()
    (output / SET / "csv" / "other=1" / "notes.txt").write_text("Jane Doe")
    cut = file_of(world, "high_priority_tickets/parquet/day=2026-11-21", 1)
    cut.write_bytes(cut.read_bytes()[:-9])
    (output / "metrics" / "parquet" / "metrics.parquet").write_bytes(b"garbage")
    (output / "metrics" / "old.csv").write_text("Jane Doe")

    faults = account_of(world).faults

    (of_no_batch,) = [fault for fault in faults if "names batch 9" in fault]
    assert of_no_batch.startswith(f"files: `{late.relative_to(output)}` names batch 9, which the")
    faults.remove(of_no_batch)
    stray = "no job of tickets put this file there"
    move = f"yet readers of `{SET}` read it: move it elsewhere"
    day = "day=2026-11-22"
    damaged = cut.relative_to(output)
    assert faults[:-1] == [
        f"files {SET} (csv): the number of rows is 5, the ledger says 4 (+1)",
        f"files: `{SET}/csv/other=1/notes.txt`: {stray}, {move}",
        f"files: `metrics/old.csv`: {stray}: move it elsewhere",
        f"files {SET} (csv): `D` is there 2 times (`{day}/{csv.name}`, `{day}/{copy.name}`)",
        f"files {SET} (parquet): `A` differs from {source} in folder (`{day}/{of_other_day.name}`)",
        f"files high_priority_tickets (parquet): `{damaged}` cannot be read: it is damaged."
        " Restore it; until then no row of this set is compared",
    ]
    assert faults[-1].startswith("Files: `metrics/parquet/metrics.parquet` in ")
    assert faults[-1].endswith("a file is damaged or its permissions forbid reading. Restore it.")
    away = account_of(world, files="The disk is away.")
    assert away.faults == ["The disk is away. Nothing in files was compared."]
    assert {store.store for store in away.stores} == {"Kafka", "Cassandra", "MongoDB"}


def test_manifest_that_is_missing_or_does_not_fit_the_ledger_is_a_fault(
    make_world: MakeWorld,
) -> None:
    world = tickets_world(make_world)
    path = Path(world.settings.output_path, "_millrace", "tickets.json")
    text = path.read_text()
    (query,) = json.loads(text)["applied"]

    def faults(**changes: Any) -> list[str]:
        path.write_text(json.dumps(json.loads(text) | changes))
        return [fault.partition(": restore the file")[0] for fault in account_of(world).faults]

    place = "files: `_millrace/tickets.json`"
    assert faults(applied={query: [[0, 0]]}) == [
        f"{place} lacks 1 batches of the ledger, the first is 1, so the snapshots would count them"
        " again"
    ]
    assert faults(applied={query: [[0, 2]]}) == [
        f"{place} names batch 2 of query {query[:8]}, which the ledger does not have and no job can"
        " have begun, so the snapshots would never count it"
    ]
    totals = json.loads(text)["totals"]
    totals["tickets_by_priority"]["high"]["count"] = 5
    source = f"{world.keyspace}.tickets"
    assert faults(totals=totals) == [
        f"files tickets_by_priority (_millrace/tickets.json): `high`: `count` is 5, by the rows of"
        f" {source} it is 4 (+1)"
    ]
    (unread,) = faults(formats=["orc"])
    assert "/_millrace/tickets.json` cannot be read (ValueError): something else changed" in unread
    assert unread.endswith("make reset PIPELINE=tickets`.")
    path.unlink()
    (missing,) = account_of(world).faults
    assert missing.startswith(f"files: OUTPUT_PATH is `{world.settings.output_path}`, where")
