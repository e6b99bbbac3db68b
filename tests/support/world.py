"""A pipeline with a topic, keyspace, database and state folder that no other test has."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cassandra.cluster import Session
from confluent_kafka import Producer
from pymongo.database import Database
from pyspark.sql import SparkSession

from cql.declared import TABLE
from cql.division import with_shards
from cql.statements import split_statements
from operations.pipelines import read_topic
from runtime.config.topic_names import dead_letter_topic
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.job import RunOptions, run_pipelines
from spark_jobs.run.locks import locked
from spark_jobs.session.stopping import StopRequest
from spark_jobs.state.ledger import Counts, Ledger
from sql import client as sql_client

UNTIL_THE_END = RunOptions(available_now=True)
Message = tuple[bytes | None, bytes | None]
"""Key and value."""


@dataclass(frozen=True)
class World:
    """One isolated pipeline on the shared stack."""

    settings: Settings
    pipeline: Pipeline
    keyspace: str
    spark: SparkSession
    session: Session
    database: Database[dict[str, Any]]

    @property
    def topic(self) -> str:
        return self.pipeline.topic(self.settings)

    def send(
        self,
        *messages: Message,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Put messages on the source topic and wait until the broker has them."""
        producer = Producer(self.settings.kafka_client_options() | {"message.max.bytes": 2_000_000})
        failures: list[Any] = []
        for key, value in messages:
            producer.produce(
                self.topic,
                value=value,
                key=key,
                headers=headers,
                **({} if partition is None else {"partition": partition}),
                **({} if timestamp_ms is None else {"timestamp": timestamp_ms}),
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
        assert producer.flush(30) == 0
        assert not failures

    def process(self, options: RunOptions = UNTIL_THE_END, **changes: Any) -> None:
        """Run the job until what is on the topic is processed, under its lock."""
        settings = self.settings.model_copy(update=changes)
        with locked([self.pipeline], settings):
            run_pipelines(self.spark, [self.pipeline], settings, options, StopRequest(), print)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.session.execute(f"SELECT * FROM {self.keyspace}.{table}"))

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows that PostgreSQL answers."""
        with sql_client.connect(self.settings) as connection:
            return connection.execute(query.encode()).fetchall()

    def totals(self) -> Counts:
        return Ledger(self.database, self.pipeline.name).totals()

    def documents(self, collection: str) -> dict[str, dict[str, Any]]:
        return {document["_id"]: document for document in self.database[collection].find()}

    def dead_letters(self) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
        """Key, value and headers of each message on the dead-letter topic."""
        return [
            (m.key(), m.value(), {name: value.decode() for name, value in m.headers()})
            for m in read_topic(self.settings, dead_letter_topic(self.topic))
        ]


def in_keyspace(pipeline: Pipeline, keyspace: str) -> Pipeline:
    """The pipeline with its tables in another keyspace."""
    tables = tuple(
        dataclasses.replace(t, place=f"{keyspace}.{t.name}", shape=t.declared)
        for t in pipeline.tables
    )
    return dataclasses.replace(pipeline, tables=tables)


def create_tables(session: Session, pipeline: Pipeline, keyspace: str) -> None:
    """Apply the pipeline's CQL file, if it has one, with another keyspace name."""
    shards = {table.place: table.declared.shards for table in pipeline.tables}
    for original in {table.keyspace for table in pipeline.tables}:
        for path in cql_files(original):
            for statement in split_statements(path.read_text()):
                if found := TABLE.match(statement):
                    statement = with_shards(statement, shards[f"{found[1]}.{found[2]}"])
                session.execute(_renamed(statement, original, keyspace), timeout=60)


def cql_files(keyspace: str) -> Iterable[Path]:
    return sorted((PROJECT_ROOT / "cql").glob(f"*_{keyspace}.cql"))


def _renamed(statement: str, original: str, keyspace: str) -> str:
    return re.sub(rf"\b{original}\b", keyspace, statement)
