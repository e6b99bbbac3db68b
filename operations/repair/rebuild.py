"""`millrace rebuild aggregates`: recomputes all aggregates from the records in Cassandra.

Only rows of confirmed batches count. A batch that was unfinished when the job ended may have
changed some documents and not others. Its rows are left out, and each document is marked with the
last confirmed batch, so the job's next start adds the unfinished batch once to all documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pymongo.database import Database
from pyspark.sql import SparkSession

from errors import JobError
from operations.activity import shown
from operations.repair.batches import one_query
from operations.spark_session import repair_session
from operations.tables import say
from operations.verify.coverage import read_until
from operations.verify.messages import is_within
from operations.verify.on_spark import batch_session
from operations.verify.spark_errors import explained_errors
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import chosen_pipelines
from spark_jobs.run.command import start_logging
from spark_jobs.run.locks import locked
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.mongodb import (
    MongoAggregates,
    check_mongodb,
    confirmed_database,
    connect_mongodb,
)
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Document, Ledger, forget_confirmations
from spark_jobs.transforms.outcomes import no_reasons


@dataclass(frozen=True)
class Rebuilt:
    """The result of rebuilding one pipeline's aggregates.

    Attributes:
        pipeline: Its name.
        topic: Its source topic.
        batch_id: The last confirmed batch; None if there is none and nothing was changed.
        records: Number of stored records that the aggregates were computed from.
        expected: The ledger's number of stored records.
        documents: Collection -> number of its documents.
    """

    pipeline: str
    topic: str
    batch_id: int | None
    records: int = 0
    expected: int = 0
    documents: Mapping[str, int] | None = None

    @property
    def whole(self) -> bool:
        """Whether the number of records matches the ledger."""
        return self.records == self.expected


def rebuild_aggregates(settings: Settings, pipeline_name: str | None) -> int:
    """Rebuild the aggregates of one pipeline or of all; gives the exit code.

    Raises:
        MillraceError: a job is running, a store is unavailable, or there is nothing to rebuild
            from.
    """
    pipelines = chosen_pipelines(pipeline_name, settings)
    if not (pipelines := [pipeline for pipeline in pipelines if pipeline.collections]):
        raise JobError(f"Pipeline {pipeline_name} has no aggregates in MongoDB to rebuild.")
    start_logging(settings, to_terminal=False)
    with locked(pipelines, settings), connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        sources = {p.name: _source(p, settings, database) for p in pipelines}
        done = [
            Rebuilt(p.name, p.topic(settings), None)
            for p in pipelines
            if not Ledger(database, p.name).has_entries()
        ]
        empty = {rebuilt.pipeline for rebuilt in done}
        if filled := [pipeline for pipeline in pipelines if pipeline.name not in empty]:
            for pipeline in filled:
                sources[pipeline.name].check()
            with (
                shown() as seen,
                repair_session(settings, "rebuild", seen.say, activities=seen) as spark,
            ):
                for pipeline in filled:
                    with seen.doing(f"rebuild: aggregates of {pipeline.name}"):
                        done.append(rebuild(pipeline, settings, spark, database))
    for rebuilt in done:
        _report(rebuilt)
    say(f"verify with `{remedies.verify(settings)}`")
    return 0 if all(rebuilt.whole for rebuilt in done) else 1


def rebuild(
    pipeline: Pipeline, settings: Settings, spark: SparkSession, database: Database[Document]
) -> Rebuilt:
    """Recompute one pipeline's aggregates and replace the present ones.

    The caller holds the pipeline's lock.

    Raises:
        JobError: the records are not in Cassandra.
        SinkError: a store did not answer or did not confirm.
    """
    source = _source(pipeline, settings, database)
    entries = Ledger(database, pipeline.name).entries()
    if not entries:
        return Rebuilt(pipeline.name, pipeline.topic(settings), None)
    last = entries[-1]
    if source.name not in last.sinks:
        raise _not_rebuilt(pipeline, f"{source.name} got nothing of {pipeline.name}")
    # The lock covers this machine only; the checkpoint shows that no job elsewhere owns the data.
    one_query(entries, checkpoint_of(settings, pipeline.name), pipeline.name)
    table = next(iter(source.rows()))
    expected = sum(entry.counts.stored for entry in entries)
    own = batch_session(spark, expected)
    with explained_errors(table.place, source.unreadable):
        records = (
            table.read(own)
            .filter(is_within({p: (0, end) for p, end in read_until(entries).items()}))
            .withColumns({"outcome": pipeline.stored_outcome, "reasons": no_reasons()})
        )
        rows = pipeline.summarise(records).collect()
    summary = pipeline.roll_up(row.asDict() for row in rows)
    # The new documents lack the unfinished batch, so it must be applied again.
    forget_confirmations(database, pipeline.name, MongoAggregates.name)
    # Before the documents, which all get its number, whichever batch changed them last.
    Ledger(database, pipeline.name).note_rebuilt(last)
    aggregates = MongoAggregates(database, last.query_id)
    aggregates.replace_collections(pipeline.collections, summary.changes, last.batch_id)
    if summary.stored == expected:
        # A sink that was turned on later has all batches now.
        Ledger(database, pipeline.name).add_sink(MongoAggregates.name)
    return Rebuilt(
        pipeline=pipeline.name,
        topic=pipeline.topic(settings),
        batch_id=last.batch_id,
        records=summary.stored,
        expected=expected,
        documents={
            name: sum(change.collection == name for change in summary.changes)
            for name in pipeline.collections
        },
    )


def _source(pipeline: Pipeline, settings: Settings, database: Database[Document]) -> Sink:
    """The sink that holds the records.

    Raises:
        JobError: it is not enabled, or the sink of aggregates is not.
    """
    sinks = sinks_of(pipeline, settings, database)
    source = next((sink for sink in sinks if sink.is_source), None)
    if source is None or not any(sink.collections for sink in sinks):
        raise _not_rebuilt(pipeline, f"SINKS is `{','.join(settings.sinks)}`")
    return source


def _not_rebuilt(pipeline: Pipeline, why: str) -> JobError:
    return JobError(
        f"A rebuild reads records from Cassandra and writes aggregates to MongoDB, but {why}. Set"
        " SINKS to both; without records only a reset recomputes aggregates, from the topic:"
        f" `{remedies.reset(pipeline.family)}`."
    )


def _report(rebuilt: Rebuilt) -> None:
    if rebuilt.batch_id is None or rebuilt.documents is None:
        say(f"{rebuilt.pipeline}: the ledger has no confirmed batch; nothing was changed")
        return
    say(
        f"{rebuilt.pipeline}: aggregates of {rebuilt.records} stored records, up to batch"
        f" {rebuilt.batch_id}"
    )
    for name, number in rebuilt.documents.items():
        say(f"  {name}: {number} documents")
    if not rebuilt.whole:
        say(
            f"  the ledger has {rebuilt.expected} stored records"
            f" ({rebuilt.records - rebuilt.expected:+d} in Cassandra). Restore the rows with"
            f" `{remedies.replay(rebuilt.topic, 'cassandra')}`, then run this command again"
        )
