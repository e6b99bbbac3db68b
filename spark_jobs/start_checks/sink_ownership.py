"""Which job writes to which sink, for pipelines whose sinks may have separate jobs.

Collection `feeds` of MongoDB: one document per sink of such a pipeline, made by the first job that
claims it and never changed; `make reset` deletes it. If two jobs wrote to one sink, it would hold
every record twice, or records that the other job's ledger does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from errors import JobError
from runtime import remedies
from runtime.config.sink_modules import TOPICS_MODULE
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.start_checks.findings import finding
from spark_jobs.state.added_topics import COLLECTION
from spark_jobs.state.ledger import Document
from spark_jobs.state.store_errors import sink_error


def claimed(
    pipelines: Sequence[Pipeline], settings: Settings, database: Database[Document]
) -> list[Pipeline]:
    """Claim each pipeline's sinks; returns the pipelines with the sinks they may write to.

    Sinks that are written whatever `SINKS` says belong to the first job that claims them.

    Raises:
        JobError: another job of the pipeline writes to one of its sinks; none was claimed.
        SinkError: MongoDB did not answer.
    """
    allowed(pipelines, settings, database)
    with _explained():
        for pipeline in (each for each in pipelines if each.separable):
            for sink in (*_own(pipeline, settings), TOPICS_MODULE):
                claim = {"_id": _key(pipeline, sink), "pipeline": pipeline.name}
                with suppress(DuplicateKeyError):
                    database[COLLECTION].insert_one(claim)
    # Another job may have claimed one at the same time.
    return allowed(pipelines, settings, database)


def allowed(
    pipelines: Sequence[Pipeline], settings: Settings, database: Database[Document]
) -> list[Pipeline]:
    """The pipelines with the sinks they may write to, without claiming any.

    Raises:
        JobError: another job of the pipeline writes to one of its sinks.
        SinkError: MongoDB did not answer.
    """
    with _explained():
        for pipeline in pipelines:
            feeders = {s: _feeder(pipeline, s, database) for s in _own(pipeline, settings)}
            if taken := {s: feeder for s, feeder in feeders.items() if feeder != pipeline.name}:
                raise JobError(_refusal(pipeline, settings, taken))
        return [as_claimed(pipeline, database) for pipeline in pipelines]


def as_claimed(pipeline: Pipeline, database: Database[Document]) -> Pipeline:
    """The pipeline, without its topics if another job has claimed them; claims none itself."""
    if not pipeline.separable or _feeder(pipeline, TOPICS_MODULE, database) == pipeline.name:
        return pipeline
    return replace(pipeline, topics=())


def feeders(pipeline: Pipeline, database: Database[Document]) -> dict[str, str]:
    """Each claimed sink of a pipeline -> the job that feeds it.

    Raises:
        SinkError: MongoDB did not answer.
    """
    with _explained():
        known = {
            sink: database[COLLECTION].find_one({"_id": _key(pipeline, sink)})
            for sink in pipeline.separable
        }
    return {sink: str(claim["pipeline"]) for sink, claim in known.items() if claim}


def forget_feeds(database: Database[Document], pipeline: str) -> None:
    """Release the sinks that a pipeline has claimed."""
    database[COLLECTION].delete_many({"pipeline": pipeline})


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise sink_error("MongoDB", f"note in `{COLLECTION}` a sink's job", error) from error


def _own(pipeline: Pipeline, settings: Settings) -> list[str]:
    """The sinks that this job would feed, and another job of the pipeline could."""
    return [name for name in pipeline.separable if name in settings.sinks]


def _refusal(pipeline: Pipeline, settings: Settings, taken: Mapping[str, str]) -> str:
    owned = ", ".join(f"{name} is fed by `{feeder}`" for name, feeder in taken.items())
    return finding(
        settings,
        pipeline.name,
        f"{owned}: two jobs would write every record twice.",
        *(f"start that job instead: `{_start(each)}`" for each in sorted({*taken.values()})),
    )


def _start(feeder: str) -> str:
    """The command that starts a job, whose name lists the sinks that it feeds alone."""
    family, _, sinks = feeder.partition("-")
    options = ["--sinks", sinks.replace("-", ",")] if sinks else []
    return remedies.job(family, None, *options)


def _feeder(pipeline: Pipeline, sink: str, database: Database[Document]) -> str:
    """The job that feeds a sink: this one if the sink is free."""
    known = database[COLLECTION].find_one({"_id": _key(pipeline, sink)})
    return str(known["pipeline"]) if known else pipeline.name


def _key(pipeline: Pipeline, sink: str) -> str:
    return f"{pipeline.family}/{sink.rpartition('.')[2]}"
