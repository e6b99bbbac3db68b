"""Creates topics, tables and collections on the services that the settings name."""

from __future__ import annotations

from collections.abc import Callable

from local_stack import stack
from operations.activity import Activities
from operations.bucket import ensure_bucket
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.sinks.topics import ensure_forward_topics
from spark_jobs.sources.topics import ensure_topics
from spark_jobs.state.ledger import Ledger

Report = Callable[[str], object]


def start_and_prepare(settings: Settings, activities: Activities, report: Report) -> None:
    """Start the services, wait until they answer, and create what is missing.

    Raises:
        MillraceError: a service could not be started, is unavailable or refused.
    """
    with activities.doing("services: starting"):
        stack.up(settings, report)
    with activities.doing("services: topics, tables and collections"):
        prepare_stores(settings, report)


def prepare_stores(settings: Settings, report: Report) -> None:
    """Create missing topics, buckets, tables and indexes; safe to repeat.

    Raises:
        MillraceError: a service is unavailable or refused; says which, and what to do.
    """
    pipelines = pipelines_of(settings)
    created = ensure_topics(settings, [pipeline.topic(settings) for pipeline in pipelines])
    created += [name for each in pipelines for name in ensure_forward_topics(settings, each)]
    if created:
        report(f"topics created: {', '.join(created)}")
    if bucket := ensure_bucket(settings):
        report(f"bucket created: {bucket}")
    with connect_mongodb(settings) as client:
        database = confirmed_database(client, settings)
        for sink in (s for pipeline in pipelines for s in sinks_of(pipeline, settings, database)):
            sink.prepare()
        check_mongodb(client, settings)
        for pipeline in pipelines:
            Ledger(database, pipeline.name).prepare()
    report("topics, tables and collections are ready")
