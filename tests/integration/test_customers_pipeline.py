"""Customers from the topic to their two topics, files and PostgreSQL, by the real job."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pydantic import SecretStr

from errors import JobError, SinkUnavailable
from operations.pipelines import read_topic
from operations.repair.apply import apply_replay
from operations.repair.part import of_part
from operations.repair.range import understood
from operations.repair.replay import planned
from operations.verify.accounts import take_accounts
from settings import OUTPUT_FORMATS
from spark_jobs.customers import CUSTOMERS
from spark_jobs.run.job import check_pipelines
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.state.ledger import Counts
from tests.conftest import free_ports
from tests.integration.test_fault_points import crash
from tests.support.builders import customer
from tests.support.pipelines import MakeWorld
from tests.support.texts import HARD_TEXTS, random_texts
from tests.support.world import World

# 2026-11-22T10:15:00Z, as Kafka's clock for messages that the tests date themselves.
SENT_MS = 1_795_342_500_000


def sent(**changes: Any) -> tuple[bytes, bytes]:
    record = customer(**changes)
    return str(record.get("customer_id", "")).encode(), json.dumps(record).encode()


def on_topic(world: World, topic: str) -> list[tuple[bytes, Any, dict[str, str]]]:
    return sorted(
        (
            (m.key(), json.loads(m.value()), {name: v.decode() for name, v in m.headers()})
            for m in read_topic(world.settings, topic)
        ),
        key=lambda message: message[2]["source_offset"],
    )


def file_rows(world: World, name: str) -> list[dict[str, Any]]:
    [file_set] = [each for each in world.pipeline.file_sets if each.name == name]
    frame = read_set(world.spark, world.settings, file_set, "parquet").drop("_batch_id")
    return [row.asDict() for row in frame.collect()]


@pytest.mark.quick
@pytest.mark.parametrize("again", [False, True], ids=["once", "repeated"])
def test_customers_go_to_their_topics_files_and_tables(make_world: MakeWorld, again: bool) -> None:
    world = make_world(CUSTOMERS)
    usa, alerts = world.settings.customers_usa_topic, world.settings.customers_alerts_topic
    changes = {"sinks": ("files", "postgres")}
    world.send(
        sent(created_at="2024-01-02", city="", phone=...),
        sent(country="France", customer_id="CUST-2"),
        sent(customer_id=..., email="x", first_name=" "),
        sent(first_name="Later"),
        (b"k", b"not json"),
        sent(customer_id=..., email="x", first_name=" "),
        partition=1,
        timestamp_ms=SENT_MS,
    )

    world.process(**changes)
    if again:
        world.send(sent(first_name="Later still"), partition=0, timestamp_ms=SENT_MS)
        world.process(**changes)

    of_usa = {
        "customer_id": "CUST-1", "first_name": "Ada", "last_name": "Lovelace",
        "email": "ada@example.com", "address": "1 Main St,\nApt 2", "state": "MA",
        "country": "USA", "postal_code": "02139",
    }  # fmt: skip
    place = {"source_topic": world.topic, "source_partition": "1"}
    assert on_topic(world, usa) == [
        (b"CUST-1", of_usa | {"created_at": "2024-01-02T00:00:00.000Z"},
         place | {"source_offset": "0"}),
    ]  # fmt: skip
    reasons = ["missing_customer_id", "missing_first_name", "invalid_email"]
    incomplete = {
        "first_name": " ", "last_name": "Lovelace", "email": "x", "phone": "+1 555 0100",
        "address": "1 Main St,\nApt 2", "city": "Boston", "state": "MA", "country": "USA",
        "postal_code": "02139", "created_at": "2024-01-02T03:04:05.000Z", "reasons": reasons,
    }  # fmt: skip
    assert on_topic(world, alerts) == [
        (b"", incomplete, place | {"source_offset": "2"}),
        (b"", incomplete, place | {"source_offset": "5"}),
    ]
    at = datetime(2024, 1, 2)  # noqa: DTZ001
    assert file_rows(world, "customers_usa") == [
        of_usa | {"phone": None, "city": None, "created_at": at}
    ]
    found = file_rows(world, "customers_alerts")
    assert sorted((r["kafka_offset"], r["reasons"], r["customer_id"]) for r in found) == [
        (2, reasons, None),
        (5, reasons, None),
    ]
    assert world.sql("SELECT customer_id, first_name, phone, kafka_offset FROM customers_usa") == [
        ("CUST-1", "Ada", None, 0)
    ]
    query = "SELECT kafka_topic, kafka_offset, reasons, first_name FROM customers_alerts ORDER BY 2"
    assert world.sql(query) == [
        (world.topic, 2, reasons, " "),
        (world.topic, 5, reasons, " "),
    ]
    assert [letter[:2] for letter in world.dead_letters()] == [(b"k", b"not json")]
    more = int(again)
    assert world.totals() == Counts(
        read=6 + more, stored=3, dead_lettered=1, filtered=1, duplicates=1 + more,
        alerts=2, reasons={"unparseable": 1},
    )  # fmt: skip


def test_alerts_keep_every_text_as_it_was_sent_in_topic_files_and_tables(
    make_world: MakeWorld,
) -> None:
    """Absent, empty and blank differ; PostgreSQL alone has U+FFFD for U+0000."""
    world = make_world(CUSTOMERS)
    every = world.settings.model_copy(
        update={"sinks": ("files", "postgres"), "output_format": OUTPUT_FORMATS}
    )
    world = replace(world, settings=every)
    texts: list[str | None] = [None, *HARD_TEXTS, *random_texts(100, 11)]
    changes = [{"last_name": text, "address": text, "phone": text} for text in texts]
    world.send(*(sent(email="x", **each) for each in changes), partition=0, timestamp_ms=SENT_MS)

    world.process()

    (account,) = take_accounts(every, world.database, world.spark, [CUSTOMERS])
    assert account.faults == []
    assert world.totals().alerts == len(texts)
    fields = ("last_name", "address", "phone")
    expected = {n: (text,) * 3 for n, text in enumerate(texts)}
    alerts = on_topic(world, every.customers_alerts_topic)
    assert expected == {
        int(at["source_offset"]): tuple(value.get(name) for name in fields)
        for _, value, at in alerts
    }
    query = f"SELECT kafka_offset, {', '.join(fields)} FROM customers_alerts"
    assert {offset: tuple(values) for offset, *values in world.sql(query)} == {
        n: tuple(text and text.replace("\0", "\ufffd") for text in row)
        for n, row in expected.items()
    }


def test_messages_that_no_record_was_forwarded_as_are_named(make_world: MakeWorld) -> None:
    world = make_world(CUSTOMERS)
    world.send(sent(), sent(customer_id="CUST-2", country="Peru"), sent(), partition=0)
    world.process(sinks=("files",))
    settings = world.settings.model_copy(update={"sinks": ("files",)})
    topic = settings.customers_usa_topic
    [(key, value, headers)] = on_topic(world, topic)
    foreign = world.settings.model_copy(update={"customers_topic": topic})
    other = replace(world, settings=foreign)
    own = [(name, text.encode()) for name, text in headers.items()]
    foreign_origin = [(n, b"1" if n == "source_offset" else text) for n, text in own]
    other.send((key, json.dumps(value).encode()), partition=0)
    other.send((key, b"{}"), partition=0, headers=own)
    other.send((key, b"{}"), partition=0, headers=foreign_origin)

    (account,) = take_accounts(settings, world.database, world.spark, [CUSTOMERS])

    first = sum(message.partition() == 0 for message in read_topic(settings, topic)) - 3
    source = f"`{world.topic}/0"
    assert account.faults == [
        f"Kafka {topic}: distinct records is 2, the ledger says 1 (+1)",
        f"Kafka {topic}: message `{topic}/0/{first}` names no message of {world.topic} in its"
        " headers: no job sent it",
        f"Kafka {topic}: message `{topic}/0/{first + 1}` differs from what {source}/0` was"
        " forwarded as",
        f"Kafka {topic}: {source}/1` does not belong there (message `{topic}/0/{first + 2}`)",
    ]


def test_two_jobs_feed_a_store_each_and_the_topics_get_everything_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(CUSTOMERS)
    settings = world.settings.model_copy(update={"sinks": ("files", "postgres")})
    world.send(sent(), sent(customer_id="CUST-2", email="x"), sent(country="Peru"))

    for name in ("postgres", "files"):
        part = replace(world, settings=settings, pipeline=CUSTOMERS.feeding((name,)))
        # The first try dies after the topics were written, and does not write them again.
        crash(part, monkeypatch, "before-ledger", sinks=(name,))
        part.process(sinks=(name,))

    accounts = take_accounts(settings, world.database, world.spark, [CUSTOMERS])
    assert [account.pipeline for account in accounts] == ["customers-files", "customers-postgres"]
    assert [account.faults for account in accounts] == [[], []]
    whole = replace(world, settings=settings)
    assert len(on_topic(whole, settings.customers_usa_topic)) == 1
    assert len(on_topic(whole, settings.customers_alerts_topic)) == 1
    with pytest.raises(
        JobError, match="files is fed by `customers-files`, postgres is fed by"
    ) as refused:
        whole.process()
    for sink in ("files", "postgres"):
        command = f"job customers --available-now --sinks {sink}`"
        assert command in str(refused.value)

    whole.sql("DELETE FROM customers_alerts RETURNING 1")
    (_, of_postgres) = take_accounts(settings, world.database, world.spark, [CUSTOMERS])
    assert of_postgres.faults[0] == (
        "PostgreSQL customers_alerts: the number of rows is 0, the ledger says 1 (-1)"
    )
    assert "is missing" in of_postgres.faults[1]


def test_ledger_of_one_of_two_jobs_is_completed_alone(make_world: MakeWorld) -> None:
    world = make_world(CUSTOMERS)
    world.send(sent(), sent(customer_id="CUST-2", email="x"))
    for name in ("files", "postgres"):
        replace(world, pipeline=CUSTOMERS.feeding((name,))).process(sinks=(name,))
    batches = world.documents("batches")
    world.database["batches"].delete_many({"pipeline": "customers-postgres"})
    with pytest.raises(JobError, match=r"millrace replay --topic .* --sink mongodb`"):
        replace(world, pipeline=CUSTOMERS.feeding(("postgres",))).process(sinks=("postgres",))

    settings = world.settings.model_copy(update={"sinks": ("postgres",)})
    request = understood(settings, world.topic, "earliest", "latest", "mongodb", (CUSTOMERS,))
    own, of_own = of_part(settings, world.database, request)
    plan = planned(own, world.database, of_own)
    apply_replay(plan, own, world.spark, world.database, print)

    numbers = ("pipeline", "offsets", "sinks", "read", "stored", "alerts")
    assert [
        {name: batch[name] for name in numbers} for batch in world.documents("batches").values()
    ] == [{name: batch[name] for name in numbers} for batch in batches.values()]
    replace(world, pipeline=CUSTOMERS.feeding(("postgres",))).process(sinks=("postgres",))


def test_job_that_is_refused_or_whose_store_is_away_claims_nothing(make_world: MakeWorld) -> None:
    world = make_world(CUSTOMERS)
    world.send(sent())
    (port,) = free_ports(1)
    away = SecretStr(f"postgresql://x@127.0.0.1:{port}/x")
    to_postgres, to_files = CUSTOMERS.feeding(("postgres",)), CUSTOMERS.feeding(("files",))
    refused = world.settings.model_copy(update={"sinks": ("postgres",), "postgres_dsn": away})
    with pytest.raises(SinkUnavailable, match="make up"):
        check_pipelines([to_postgres], refused)

    # The topics are free.
    replace(world, pipeline=to_files).process(sinks=("files",))
    with pytest.raises(JobError, match="files is fed by `customers-files`"):
        world.process(sinks=("files", "postgres"))
    # And so is PostgreSQL.
    replace(world, pipeline=to_postgres).process(sinks=("postgres",))

    assert len(on_topic(world, world.settings.customers_usa_topic)) == 1
    assert world.sql("SELECT count(*) FROM customers_usa") == [(1,)]
