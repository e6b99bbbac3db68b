"""A PEER in `make bench`: what a Python programmer writes without Spark. Not part of Millrace.

confluent-kafka, a thread that polls; the Cassandra driver with prepared statements in unlogged
batches, into the two tables that Millrace fills; MongoDB's `$inc`. No validation, deduplication,
dead letters or ledger: a crash loses or doubles records, and no one notices.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType, PreparedStatement
from confluent_kafka import Consumer, Message, TopicPartition
from pymongo import UpdateOne
from pymongo.database import Database

from tests.benchmarks.baseline import TEAMS

FIELDS = ("ticket_id", "client_id", "created_at", "request", "request_type", "priority")
COLUMNS = (*FIELDS, "assigned_team", "kafka_partition", "kafka_offset", "kafka_timestamp")
TABLES = {"tickets": COLUMNS, "tickets_by_team": (*COLUMNS, "created_hour")}
DIMENSIONS = ("assigned_team", "request_type", "priority")
MESSAGES_AT_ONCE, ROWS_OF_A_BATCH, IN_FLIGHT = 10_000, 20, 16
POLL_SECONDS = 1.0


def run_plain_consumer(
    options: dict[str, Any],
    topic: str,
    ends: dict[int, int],
    session: Session,
    keyspace: str,
    database: Database[dict[str, Any]],
) -> None:
    """Process the topic from its beginning to the given end of each partition."""
    statements = {
        name: session.prepare(
            f"INSERT INTO {keyspace}.{name} ({', '.join(columns)})"
            f" VALUES ({', '.join('?' * len(columns))})"
        )
        for name, columns in TABLES.items()
    }
    consumer = Consumer(
        {**options, "group.id": "plain-consumer", "enable.auto.commit": False},
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    left = sum(ends.values())
    while left:
        messages = consumer.consume(MESSAGES_AT_ONCE, POLL_SECONDS)
        left -= len(messages)
        tickets = [ticket for message in messages if (ticket := parsed(message))]
        for name, columns in TABLES.items():
            batches = ((batch, None) for batch in in_batches(statements[name], columns, tickets))
            execute_concurrent(session, batches, concurrency=IN_FLIGHT)
        for column in DIMENSIONS:
            counts = Counter((t["created_at"].date().isoformat(), t[column]) for t in tickets)
            updates = [
                UpdateOne({"_id": f"{day}|{value}"}, {"$inc": {"count": count}}, upsert=True)
                for (day, value), count in counts.items()
            ]
            if updates:
                database[f"plain_{column}"].bulk_write(updates, ordered=False)
        if messages:
            consumer.commit(asynchronous=False)
    consumer.close()


def parsed(message: Message) -> dict[str, Any] | None:
    """A message's columns; None if it lacks one, or one is no text."""
    try:
        # As text: of bytes `json` accepts halves of surrogate pairs, which the driver refuses.
        ticket: dict[str, Any] = json.loads((message.value() or b"").decode())
        created = datetime.fromisoformat(ticket["created_at"]).astimezone(UTC)
        team = TEAMS[ticket["request_type"]]
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(ticket.get(field), str) for field in FIELDS):
        return None
    return ticket | {
        "created_at": created,
        "created_hour": created.replace(minute=0, second=0, microsecond=0),
        "assigned_team": team,
        "kafka_partition": message.partition(),
        "kafka_offset": message.offset(),
        "kafka_timestamp": message.timestamp()[1],
    }


def in_batches(
    statement: PreparedStatement, columns: tuple[str, ...], tickets: list[dict[str, Any]]
) -> Iterator[BatchStatement]:
    """Unlogged batches of some rows each."""
    for start in range(0, len(tickets), ROWS_OF_A_BATCH):
        batch = BatchStatement(BatchType.UNLOGGED)
        for ticket in tickets[start : start + ROWS_OF_A_BATCH]:
            batch.add(statement, [ticket.get(column) for column in columns])
        yield batch
