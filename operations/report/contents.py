"""What a report says, read from ledger, stores and broker; as plain data."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from pymongo.errors import PyMongoError

from dashboard.aggregates import ADDED, read_chart
from dashboard.source import Chart
from errors import MillraceError
from operations.masking import hidden_aggregates
from operations.overview.model import Overview, PipelineView
from operations.overview.records import LetterPage, LetterView, dead_letter_page
from operations.overview.stores import OpenStores
from runtime.versions import installed_version
from spark_jobs.aggregates import Aggregate
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.driver_errors import explained_mongodb

MOST_REASONS: Final = 10
MOST_CHARTS: Final = 12
# Of a sample's value: enough to see what is wrong.
LONGEST_VALUE: Final = 600
PACKAGES: Final = ("millrace", "pyspark", "confluent-kafka", "cassandra-driver", "pymongo")


@dataclass(frozen=True)
class Reason:
    """Why messages were rejected, with samples; one with two reasons counts under both."""

    reason: str
    count: int
    samples: tuple[LetterView, ...] = ()


@dataclass(frozen=True)
class RunTimes:
    """How long the last batches took, in seconds; `sinks` has the sum of each sink."""

    batches: int
    total: float
    median: float
    longest: float
    sinks: Mapping[str, float]


@dataclass(frozen=True)
class PipelinePart:
    """A pipeline, or a part of one with a ledger of its own.

    Attributes:
        waiting: Messages on its topic that no confirmed batch has read; None if not known.
        charts: Of its aggregates; only with the first part of a pipeline.
        hidden: Aggregates that are not shown, as their values may be personal.
    """

    view: PipelineView
    waiting: int | None
    reasons: tuple[Reason, ...] = ()
    run_times: RunTimes | None = None
    charts: tuple[Chart, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """All that a report says."""

    overview: Overview
    parts: tuple[PipelinePart, ...]
    versions: Mapping[str, str]
    troubles: tuple[str, ...] = ()


def read_contents(
    overview: Overview, pipelines: Sequence[Pipeline], stores: OpenStores, samples: int
) -> Contents:
    """The contents of a report; what does not answer becomes a trouble.

    `samples` is how many dead letters of each reason are shown.
    """
    troubles = list(overview.troubles)
    parts = []
    families: set[str] = set()
    for view in overview.pipelines:
        pipeline = next(each for each in pipelines if each.name == view.family)
        is_first = view.family not in families
        families.add(view.family)
        charts, hidden = list[Chart](), list[str]()
        try:
            reasons = tuple(_reasons(view, stores, samples if is_first else 0))
            if is_first:
                charts, hidden = _charts(pipeline, stores)
        except MillraceError as error:
            reasons = tuple(_reasons(view, stores, 0))
            troubles.append(str(error))
        waiting = None if "lag" in view.unknown else view.lag
        parts.append(
            PipelinePart(view, waiting, reasons, run_times(view), tuple(charts), tuple(hidden))
        )
    return Contents(overview, tuple(parts), versions_of(overview), tuple(dict.fromkeys(troubles)))


def _reasons(view: PipelineView, stores: OpenStores, samples: int) -> Iterator[Reason]:
    ranked = sorted(view.dead_letters.items(), key=lambda each: (-each[1], each[0]))
    for reason, number in ranked[:MOST_REASONS]:
        page = dead_letter_page(stores, view.family, reason, samples) if samples else LetterPage(())
        yield Reason(reason, number, page.letters)


def _charts(pipeline: Pipeline, stores: OpenStores) -> tuple[list[Chart], list[str]]:
    """A chart of each aggregate, and the names of those that are not shown."""
    charts: list[Chart] = []
    masked = hidden_aggregates(pipeline)
    hidden = [a.name for a in pipeline.aggregates if a.name in masked]
    shown = [a for a in pipeline.aggregates if a.name not in masked]
    for aggregate in shown[:MOST_CHARTS]:
        try:
            charts.append(read_chart(stores.database, aggregate, measure_of(aggregate)))
        except PyMongoError as error:
            raise explained_mongodb(error, stores.settings) from error
    return charts, hidden + [a.name for a in shown[MOST_CHARTS:]]


def measure_of(aggregate: Aggregate) -> str:
    """The measure that a chart shows: the number of records, or one that adds up."""
    added = (name for name, m in aggregate.measures.items() if m.kind in ADDED)
    return aggregate.record_count or next(added, next(iter(aggregate.measures)))


def run_times(view: PipelineView) -> RunTimes | None:
    """Of the batches that say it; None if none does."""
    seconds = [batch.seconds for batch in view.history if batch.seconds is not None]
    if not seconds:
        return None
    names = sorted({name for batch in view.history for name in batch.sink_seconds})
    sinks = {n: sum(b.sink_seconds.get(n, 0.0) for b in view.history) for n in names}
    return RunTimes(len(seconds), sum(seconds), median(seconds), max(seconds), sinks)


def versions_of(overview: Overview) -> dict[str, str]:
    """Versions of the platform, its main packages and the services that say theirs."""
    packages = ((name, installed_version(name)) for name in PACKAGES)
    services = ((service.name, service.version) for service in overview.services)
    found = [("python", platform.python_version()), *packages, *services]
    return {name: version for name, version in found if version}
