"""Creates topics, tables and collections on the services that the settings name."""

from __future__ import annotations

from collections.abc import Callable

from cql.client import apply_tables, close, connect
from operations.bucket import ensure_bucket
from operations.pipelines import PIPELINES
from settings import Settings
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sinks.topics import ensure_output_topics
from spark_jobs.sources.topics import ensure_topics
from spark_jobs.state.ledger import Ledger
from sql import client as sql_client

Report = Callable[[str], object]


def prepare_stores(settings: Settings, report: Report) -> None:
    """Create missing topics, buckets, tables and indexes; safe to repeat.

    Raises:
        MillraceError: a service is unavailable or refused; says which, and what to do.
    """
    created = ensure_topics(settings, [pipeline.topic(settings) for pipeline in PIPELINES])
    created += ensure_output_topics(settings)
    if created:
        report(f"topics created: {', '.join(created)}")
    if bucket := ensure_bucket(settings):
        report(f"bucket created: {bucket}")
    if "cassandra" in settings.sinks:
        session = connect(settings)
        try:
            apply_tables(session, settings)
        finally:
            close(session)
    if "postgres" in settings.sinks:
        sql_client.apply_tables(settings)
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        for pipeline in PIPELINES:
            Ledger(confirmed_database(client, settings), pipeline.name).prepare()
    report("topics, tables and collections are ready")
