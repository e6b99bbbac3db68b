"""`make reset`: deletes checkpoints and stored data, so that jobs read the topics from scratch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from errors import MillraceError
from operations.activity import showing
from operations.overview.proof import forget_proof
from operations.prepare import prepare_stores
from operations.spark_session import repair_session
from runtime import remedies
from runtime.config.sink_modules import SINK_MODULES
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import chosen_pipelines, pipelines_of
from spark_jobs.run.locks import locked
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import kinds_of, sinks_of
from spark_jobs.sources.consumer_group import delete_group
from spark_jobs.sources.topics import delete_topics, redriven_topic
from spark_jobs.start_checks.sink_ownership import forget_feeds
from spark_jobs.state.checkpoint import checkpoint_at
from spark_jobs.state.ledger import COLLECTION as LEDGER
from spark_jobs.state.ledger import CONFIRMATIONS

# While a reset runs: a document for each pipeline, with the sinks that it empties.
RESETS = "resets"
EXTERNAL_RULE = (
    "STACK=external: name one pipeline to reset (`make reset PIPELINE=NAME`); topics are"
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
        MillraceError: a job is running, a store is unavailable, no one answers the question, or
            the stack is external and the request too broad.
    """
    if settings.stack == "external" and (pipeline_name is None or topics):
        raise MillraceError(EXTERNAL_RULE)
    pipelines = chosen_pipelines(pipeline_name, settings)
    parts = [part for pipeline in pipelines for part in pipeline.parts()]
    with showing("reset: looks at what was stored"):
        wider = _with_former_sinks(settings, parts, leave)
    if not yes and not _confirmed(wider, pipelines, topics=topics):
        sys.stdout.write("Nothing was changed.\n")
        return 0
    with locked(parts, settings), ExitStack() as kept:
        # All stores must be available before anything is deleted; only Spark reaches HDFS and S3.
        _see_stores(wider, settings)
        if needs_spark(wider):
            kept.enter_context(repair_session(wider, "reset", lambda text: None))
        stays = [*_left(wider, pipelines, leave), *_elsewhere(wider, parts)]
        for pipeline in parts:
            with showing(f"reset: deletes what {pipeline.name} stored"):
                delete_stored(pipeline, wider)
            sys.stdout.write(f"deleted: checkpoint and stored data of {pipeline.name}\n")
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
        names += [name for each in pipelines for name in each.forward_topics(settings)]
        with showing("reset: deletes topics"):
            delete_topics(settings, names)
        sys.stdout.write(f"deleted: topics {', '.join(names)}\n")
    rest = tuple(name for name in settings.sinks if name not in leave)
    without_left = settings.model_copy(update={"sinks": rest})
    prepare_stores(without_left, lambda text: sys.stdout.write(f"{text}\n"))
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
    for sink, *_ in kinds_of(pipelines_of(wider), wider).values():
        try:
            sink.answer()
        except MillraceError as error:
            is_named = sink.name in settings.sinks
            why = "" if is_named else f" Earlier batches went to {sink.name} too."
            leaving = remedies.again(f"--leave {sink.name}", settings)
            raise type(error)(
                f"Nothing was deleted.{why} {error} Or delete everything else: `{leaving}`."
            ) from error


def _left(settings: Settings, pipelines: Sequence[Pipeline], leave: Sequence[str]) -> Iterator[str]:
    """What `--leave` keeps, and how to delete it."""
    for sink in leave:
        emptied = settings.model_copy(update={"sinks": (*settings.sinks, sink)})
        for pipeline in pipelines:
            command = remedies.reset(pipeline.family, emptied)
            yield f"{sink} keeps what {pipeline.name} stored there: `{command}` deletes it"


def _elsewhere(settings: Settings, parts: Sequence[Pipeline]) -> Iterator[str]:
    """What was stored somewhere other than where the present settings say."""
    with connect_mongodb(settings) as client:
        database = confirmed_database(client, settings)
        for part in parts:
            for sink in sinks_of(part, settings, database):
                stored = {"pipeline": part.name, "sinks": sink.name}
                if database[LEDGER].find_one(stored, {"_id": 1}) and (missing := sink.elsewhere()):
                    yield f"{part.name}: {missing}. What is elsewhere stays until a reset finds it"


def needs_spark(settings: Settings) -> bool:
    """Whether files or checkpoints are where only Spark reaches them."""
    return "://" in (settings.files_at or "") or "://" in settings.checkpoints


def _confirmed(settings: Settings, pipelines: Sequence[Pipeline], *, topics: bool) -> bool:
    names = ", ".join(pipeline.name for pipeline in pipelines)
    lines = [f"  {line}\n" for line in _what_goes(settings, pipelines, topics=topics)]
    sys.stdout.write(f"This deletes for {names}:\n{''.join(lines)}Go on? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stdout.write("\n")
        raise MillraceError("Nothing was changed: no one answered. `YES=1` deletes without asking.")
    return answer.strip().lower() in {"y", "yes"}


def _what_goes(settings: Settings, pipelines: Sequence[Pipeline], *, topics: bool) -> Iterator[str]:
    """What a reset deletes, and where."""
    yield f"checkpoints in {settings.checkpoints}"
    database = f"{settings.mongo_address}, database {settings.mongo_database}"
    yield f"ledger, aggregates: MongoDB {database}"
    sinks = (sink for alike in kinds_of(pipelines, settings).values() for sink in alike)
    yield from dict.fromkeys(filter(None, (sink.describe() for sink in sinks)))
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
        for sink in sinks_of(pipeline, settings, database):
            sink.delete()
        checkpoint_at(settings.checkpoints, pipeline.name).delete()
        forget_proof(database)
        delete_group(settings, pipeline.name)
        database[RESETS].delete_one({"_id": pipeline.name})
