"""`make reset`: deletes checkpoints and stored data, so that jobs read the topics from scratch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from cql.client import close, connect
from errors import MillraceError
from operations.pipelines import PIPELINES, pipeline_named
from operations.prepare import prepare_stores
from operations.spark_session import repair_session
from runtime import remedies
from settings import SINK_MODULES, Settings, dead_letter_topic
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.locks import locked
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.files.reading import delete_sets, has_files
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sources.topics import delete_topics, redriven_topic
from spark_jobs.start_checks.sink_ownership import forget_feeds
from spark_jobs.state.checkpoint import checkpoint_at
from spark_jobs.state.ledger import COLLECTION as LEDGER
from spark_jobs.state.ledger import CONFIRMATIONS
from sql import client as sql_client
from sql import tables as sql_tables

# While a reset runs: a document for each pipeline, with the sinks that it empties.
RESETS = "resets"
EXTERNAL_RULE = (
    "STACK=external: name one pipeline to reset (`make reset PIPELINE=tickets`); topics are"
    " never deleted there."
)


def reset(
    settings: Settings,
    pipeline_name: str | None,
    *,
    topics: bool,
    yes: bool,
    leave: Sequence[str] = (),
) -> int:
    """Delete what the pipelines stored and how far they had read; returns the exit code.

    Empties all sinks in `SINKS` or in the ledger, except those in `leave`.

    Raises:
        MillraceError: a job is running, a store is unavailable, or the stack is external and
            the request too broad.
    """
    if settings.stack == "external" and (pipeline_name is None or topics):
        raise MillraceError(EXTERNAL_RULE)
    pipelines = [pipeline_named(pipeline_name)] if pipeline_name else list(PIPELINES)
    parts = [part for pipeline in pipelines for part in pipeline.parts()]
    wider = _with_former_sinks(settings, parts, leave)
    if not yes and not _confirmed(wider, pipelines, topics=topics):
        sys.stdout.write("Nothing was changed.\n")
        return 0
    with locked(parts, settings), ExitStack() as kept:
        # All stores must be available before anything is deleted; only Spark reaches HDFS and S3.
        _see_stores(wider, settings)
        if needs_spark(wider):
            kept.enter_context(repair_session(wider, "reset", lambda text: None))
        stays = [*_left(wider, pipelines, leave), *_files_elsewhere(wider, parts)]
        for pipeline in parts:
            delete_stored(pipeline, wider)
    for line in stays:
        sys.stdout.write(f"{line}\n")
    if topics:
        sources = [pipeline.topic(settings) for pipeline in pipelines]
        # Notes of redriven dead letters must go too: new messages will have the same offsets.
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


def _with_former_sinks(
    settings: Settings, parts: Sequence[Pipeline], leave: Sequence[str]
) -> Settings:
    """The settings, with every sink in which the pipelines have ever stored something."""
    names = {"$in": [part.name for part in parts]}
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        stored = set(database[LEDGER].distinct("sinks", {"pipeline": names}))
        stored |= set(database[RESETS].distinct("sinks", {"_id": names}))
    sinks = (*settings.sinks, *(name for name in SINK_MODULES if name in stored))
    kept = tuple(name for name in dict.fromkeys(sinks) if name not in leave)
    return settings.model_copy(update={"sinks": kept})


def _see_stores(wider: Settings, settings: Settings) -> None:
    """Check that every store to be emptied answers.

    Raises:
        MillraceError: one does not; says how to start it and how to continue without it.
    """
    for sink, probe in (("cassandra", cassandra_is_there), ("postgres", postgres_is_there)):
        if sink not in wider.sinks:
            continue
        try:
            probe(wider)
        except MillraceError as error:
            why = "" if sink in settings.sinks else f" Earlier batches went to {sink} too."
            leaving = remedies.again(f"--leave {sink}", settings)
            raise type(error)(
                f"Nothing was deleted.{why} {error} Or delete everything else: `{leaving}`."
            ) from error


def cassandra_is_there(settings: Settings) -> None:
    """Connect to Cassandra once."""
    close(connect(settings, timeout_seconds=10))


def postgres_is_there(settings: Settings) -> None:
    """Connect to PostgreSQL once."""
    sql_client.connect(settings).close()


def _left(settings: Settings, pipelines: Sequence[Pipeline], leave: Sequence[str]) -> Iterator[str]:
    """What `--leave` keeps, and how to delete it."""
    for sink in leave:
        emptied = settings.model_copy(update={"sinks": (*settings.sinks, sink)})
        for pipeline in pipelines:
            command = remedies.reset(pipeline.family, emptied)
            yield f"{sink} keeps what {pipeline.name} stored there: `{command}` deletes it"


def _files_elsewhere(settings: Settings, parts: Sequence[Pipeline]) -> Iterator[str]:
    """Pipelines whose files are not under the present `OUTPUT_PATH`."""
    if "files" not in settings.sinks:
        return
    with connect_mongodb(settings) as client:
        ledger = confirmed_database(client, settings)[LEDGER]
        for part in parts:
            written = ledger.find_one({"pipeline": part.name, "sinks": "files"}, {"_id": 1})
            if written and not has_files(settings, part):
                yield (
                    f"{part.name}: its files are not under {settings.output_path}, so they stay."
                    " Set OUTPUT_PATH to where they are and reset again to delete them."
                )


def needs_spark(settings: Settings) -> bool:
    """Whether files or checkpoints are where only Spark reaches them."""
    files = settings.output_path if "files" in settings.sinks else ""
    return "://" in files or "://" in settings.checkpoints


def _confirmed(settings: Settings, pipelines: Sequence[Pipeline], *, topics: bool) -> bool:
    names = ", ".join(pipeline.name for pipeline in pipelines)
    lines = [f"  {line}\n" for line in _what_goes(settings, topics=topics)]
    sys.stdout.write(f"This deletes for {names}:\n{''.join(lines)}Go on? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _what_goes(settings: Settings, *, topics: bool) -> Iterator[str]:
    """What a reset deletes, and where."""
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
        yield f"topics, including dead letters: Kafka {settings.kafka_bootstrap_servers}"


def delete_stored(pipeline: Pipeline, settings: Settings) -> None:
    """Delete a pipeline's ledger, rows, aggregates and checkpoint.

    The ledger goes first and the checkpoint last: after an interruption one exists without the
    other, so no job starts on half-deleted stores, and reset can be run again.
    """
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        # After an interruption the ledger no longer names the sinks; this note does.
        noted = {"_id": pipeline.name, "sinks": list(settings.sinks)}
        database[RESETS].replace_one({"_id": pipeline.name}, noted, upsert=True)
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
    with connect_mongodb(settings) as client:
        confirmed_database(client, settings)[RESETS].delete_one({"_id": pipeline.name})
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
