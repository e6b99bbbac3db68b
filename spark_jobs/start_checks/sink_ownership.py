"""Which job writes to which sink, for pipelines whose sinks may have separate jobs.

Collection `feeds` of MongoDB: one document per sink of such a pipeline, made by the first job that
claims it and never changed; `make reset` deletes it. If two jobs wrote to one sink, it would hold
every record twice, or records that the other job's ledger does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from errors import JobError
from runtime import remedies
from runtime.config.sink_modules import TOPICS_MODULE
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.start_checks.findings import finding
from spark_jobs.state.ledger import Document
from spark_jobs.state.store_errors import sink_error

COLLECTION = "feeds"


def claimed(
    pipelines: Sequence[Pipeline], settings: Settings, database: Database[Document]
) -> list[Pipeline]:
    """Claim each pipeline's sinks; returns the pipelines with the sinks they may write to.

    Sinks that are written whatever `SINKS` says belong to the first job that claims them.

    Raises:
        JobError: another job of the pipeline writes to one of its sinks.
        SinkError: MongoDB did not answer.
    """
    try:
        return [_claimed(pipeline, settings, database) for pipeline in pipelines]
    except PyMongoError as error:
        raise sink_error("MongoDB", f"note in `{COLLECTION}` a sink's job", error) from error


def as_claimed(pipeline: Pipeline, database: Database[Document]) -> Pipeline:
    """The pipeline, without its topics if another job has claimed them; claims none itself."""
    if not pipeline.separable:
        return pipeline
    known = database[COLLECTION].find_one({"_id": _key(pipeline, TOPICS_MODULE)})
    is_own = known is None or known["pipeline"] == pipeline.name
    return pipeline if is_own else replace(pipeline, topics=())


def forget_feeds(database: Database[Document], pipeline: str) -> None:
    """Release the sinks that a pipeline has claimed."""
    database[COLLECTION].delete_many({"pipeline": pipeline})


def _claimed(pipeline: Pipeline, settings: Settings, database: Database[Document]) -> Pipeline:
    if not pipeline.separable:
        return pipeline
    own = [name for name in pipeline.separable if name in settings.sinks]
    others = {name: _feeder(pipeline, name, database) for name in own}
    if taken := {name: feeder for name, feeder in others.items() if feeder != pipeline.name}:
        owned = ", ".join(f"{name} is fed by `{feeder}`" for name, feeder in taken.items())
        raise JobError(
            finding(
                settings,
                pipeline.name,
                f"{owned}: two jobs would write every record twice.",
                *(
                    f"start that job instead: `{_start(each)}`"
                    for each in sorted({*taken.values()})
                ),
            )
        )
    is_free = _feeder(pipeline, TOPICS_MODULE, database) == pipeline.name
    return pipeline if is_free else replace(pipeline, topics=())


def _start(feeder: str) -> str:
    """The command that starts a job, whose name lists the sinks that it feeds alone."""
    family, _, sinks = feeder.partition("-")
    options = ["--sinks", sinks.replace("-", ",")] if sinks else []
    return remedies.job(family, None, *options)


def _feeder(pipeline: Pipeline, sink: str, database: Database[Document]) -> str:
    """The job that feeds a sink; claims the sink for this pipeline if it is free."""
    key = _key(pipeline, sink)
    try:
        database[COLLECTION].insert_one({"_id": key, "pipeline": pipeline.name})
    except DuplicateKeyError:
        known = database[COLLECTION].find_one({"_id": key})
        return str(known["pipeline"]) if known else pipeline.name
    return pipeline.name


def _key(pipeline: Pipeline, sink: str) -> str:
    return f"{pipeline.family}/{sink.rpartition('.')[2]}"
