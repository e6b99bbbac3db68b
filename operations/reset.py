"""`make reset`: deletes checkpoints and stored data, so that the topics are read anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from cql.client import close, connect
from operations.pipelines import PIPELINES, pipeline_named
from operations.prepare import prepare_stores
from operations.repair_session import repair_session
from settings import MillraceError, Settings, dead_letter_topic
from spark_jobs.checkpoint import checkpoint_at
from spark_jobs.feeds import forget_feeds
from spark_jobs.ledger import COLLECTION as LEDGER
from spark_jobs.ledger import CONFIRMATIONS
from spark_jobs.locks import locked
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.file_reading import delete_sets
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sources.topics import delete_topics, redriven_topic
from sql import tables as sql_tables

EXTERNAL_RULE = (
    "STACK=external: `make reset` there wants one pipeline by name (`PIPELINE=tickets`) and never"
    " deletes topics."
)


def reset(settings: Settings, pipeline_name: str | None, *, topics: bool, yes: bool) -> int:
    """Delete what the pipelines stored and how far they had read; gives the exit code.

    Raises:
        MillraceError: a job still runs, a store is away, or the stack is external and the
            request too wide.
    """
    if settings.stack == "external" and (pipeline_name is None or topics):
        raise MillraceError(EXTERNAL_RULE)
    pipelines = [pipeline_named(pipeline_name)] if pipeline_name else list(PIPELINES)
    if not yes and not _confirmed(settings, pipelines, topics=topics):
        sys.stdout.write("Nothing was changed.\n")
        return 0
    parts = [part for pipeline in pipelines for part in pipeline.parts()]
    with locked(parts, settings), ExitStack() as kept:
        if needs_spark(settings):
            # Before anything is deleted: only Spark reaches what is on HDFS or S3.
            kept.enter_context(repair_session(settings, "reset", lambda text: None))
        for pipeline in parts:
            delete_stored(pipeline, settings)
    if topics:
        sources = [pipeline.topic(settings) for pipeline in pipelines]
        # Notes of sent dead letters must go too: new messages will stand at the same offsets.
        names = [
            name
            for topic in sources
            for name in (topic, dead_letter_topic(topic), redriven_topic(topic))
        ]
        if any(pipeline.always for pipeline in pipelines):
            names += settings.customers_output_topics
        delete_topics(settings, names)
        sys.stdout.write(f"deleted: topics {', '.join(names)}\n")
    prepare_stores(settings, lambda text: sys.stdout.write(f"{text}\n"))
    return 0


def needs_spark(settings: Settings) -> bool:
    """Whether a part of what is deleted is where only Spark reaches it."""
    files = settings.output_path if "files" in settings.sinks else ""
    return "://" in files or "://" in settings.checkpoints


def _confirmed(settings: Settings, pipelines: Sequence[Pipeline], *, topics: bool) -> bool:
    names = ", ".join(pipeline.name for pipeline in pipelines)
    lines = [f"  {line}\n" for line in _what_goes(settings, topics=topics)]
    sys.stdout.write(f"This deletes for {names}:\n{''.join(lines)}Go on? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _what_goes(settings: Settings, *, topics: bool) -> Iterator[str]:
    """What a reset deletes, and where it is."""
    yield f"checkpoints in {settings.checkpoints}"
    database = f"{settings.mongo_address}, database {settings.mongo_database}"
    yield f"ledger, aggregates: MongoDB {database}"
    if "cassandra" in settings.sinks:
        yield f"rows: Cassandra {settings.cassandra_contact_points}:{settings.cassandra_port}"
    if "postgres" in settings.sinks:
        yield f"rows: PostgreSQL {settings.postgres_address}"
    if "files" in settings.sinks:
        yield f"files: {settings.output_path}"
    if topics:
        yield f"topics, dead letters among them: Kafka {settings.kafka_bootstrap_servers}"


def delete_stored(pipeline: Pipeline, settings: Settings) -> None:
    """Delete a pipeline's ledger, rows, aggregates and checkpoint.

    The ledger goes first and the checkpoint last: where this is interrupted, one of them is
    missing beside the other, so no job starts over half-deleted stores, and reset can be run again.
    """
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        database[LEDGER].delete_many({"pipeline": pipeline.name})
        database[CONFIRMATIONS].delete_many({"_id": pipeline.name})
        forget_feeds(database, pipeline.name)
        for name in pipeline.collections:
            database[name].delete_many({})
        database[SUMMARIES].delete_many({"source_topic": pipeline.topic(settings)})
    if "cassandra" in settings.sinks:
        _truncate(pipeline, settings)
    if "postgres" in settings.sinks and pipeline.sql_tables:
        sql_tables.truncate(settings, [t.name for t in pipeline.sql_tables], [pipeline.name])
    if "files" in settings.sinks and (pipeline.file_sets or pipeline.snapshots):
        delete_sets(settings, pipeline)
    checkpoint_at(settings, pipeline.name).delete()
    sys.stdout.write(f"deleted: checkpoint and stored data of {pipeline.name}\n")


def _truncate(pipeline: Pipeline, settings: Settings) -> None:
    session = connect(settings, timeout_seconds=30)
    try:
        keyspaces = session.cluster.metadata.keyspaces
        for table in pipeline.tables:
            if table.keyspace in keyspaces and table.name in keyspaces[table.keyspace].tables:
                session.execute(f"TRUNCATE {table.keyspace}.{table.name}", timeout=60)
    finally:
        close(session)
