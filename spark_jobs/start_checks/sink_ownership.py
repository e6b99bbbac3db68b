"""Which job feeds which sink, where sinks of one pipeline may have jobs of their own.

Collection `feeds` of MongoDB: one document for each sink of such a pipeline, made by the job that
came first and never changed; `make reset` deletes it. A sink that two jobs fed would hold every
record twice, or hold records that no account of the other has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from errors import JobError
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.start_checks.findings import finding
from spark_jobs.state.ledger import Document
from spark_jobs.state.store_errors import sink_error

COLLECTION = "feeds"


def claimed(
    pipelines: Sequence[Pipeline], settings: Settings, database: Database[Document]
) -> list[Pipeline]:
    """Claim the sinks of each pipeline for it, and give the pipelines with what they may write.

    What is written whatever `SINKS` says is left to the job that came first.

    Raises:
        JobError: another job of the pipeline feeds one of its sinks.
        SinkError: MongoDB did not answer.
    """
    try:
        return [_claimed(pipeline, settings, database) for pipeline in pipelines]
    except PyMongoError as error:
        raise sink_error("MongoDB", f"note in `{COLLECTION}` who feeds a sink", error) from error


def forget_feeds(database: Database[Document], pipeline: str) -> None:
    """Let go of the sinks that a pipeline feeds."""
    database[COLLECTION].delete_many({"pipeline": pipeline})


def _claimed(pipeline: Pipeline, settings: Settings, database: Database[Document]) -> Pipeline:
    if not pipeline.separable:
        return pipeline
    own = [name for name in pipeline.separable if name in settings.sinks]
    others = {name: _feeder(pipeline, name, database) for name in own}
    if taken := {name: feeder for name, feeder in others.items() if feeder != pipeline.name}:
        told = ", ".join(f"{name} is fed by `{feeder}`" for name, feeder in taken.items())
        raise JobError(
            finding(
                settings,
                pipeline.name,
                f"{told}: two jobs would write every record twice.",
                *(
                    f"start that job instead: `{_start(each)}`"
                    for each in sorted({*taken.values()})
                ),
            )
        )
    free = tuple(m for m in pipeline.always if _feeder(pipeline, m, database) == pipeline.name)
    return replace(pipeline, always=free)


def _start(feeder: str) -> str:
    """The command that starts a job: its name tells the sinks that it feeds alone."""
    family, _, sinks = feeder.partition("-")
    options = ["--sinks", sinks.replace("-", ",")] if sinks else []
    return remedies.job(family, None, *options)


def _feeder(pipeline: Pipeline, sink: str, database: Database[Document]) -> str:
    """The job that feeds a sink: the one that was noted first, which may be this one now."""
    key = f"{pipeline.family}/{sink.rpartition('.')[2]}"
    try:
        database[COLLECTION].insert_one({"_id": key, "pipeline": pipeline.name})
    except DuplicateKeyError:
        known = database[COLLECTION].find_one({"_id": key})
        return str(known["pipeline"]) if known else pipeline.name
    return pipeline.name
