"""Fixtures of the tests that run pipelines: one Spark session, a `World` for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session
from pyspark.sql import SparkSession

from cql.client import close, connect
from operations.verify import on_spark
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from tests.support.own_pipelines import create_own_tables, own_copy
from tests.support.postgres import MakeDatabase
from tests.support.world import World, create_tables, in_keyspace

MakeWorld = Callable[[Pipeline], World]
TEST_KEY = "a key for tests only"
# Read by spark_jobs/session/jvm/RocksDBStateStoreProvider.java.
PAUSE = "millrace.state.pause"


@pytest.fixture(scope="session")
def job_spark(stack_settings: Settings) -> Iterator[SparkSession]:
    """The session as jobs build it, connectors included."""
    from spark_jobs.session.session import build_session

    # It lasts as long as a worker: with 1 GB it spends an eighth of its time on garbage.
    changes = {"spark_master": "local[2]", "spark_driver_memory": "3g"}
    spark = build_session(stack_settings.model_copy(update=changes), "tests")
    yield spark
    spark.stop()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `make verify` compile its plans, as it does for many rows."""
    monkeypatch.setattr(on_spark, "BRIEF_RECORDS", -1)


@pytest.fixture
def no_pause(job_spark: SparkSession) -> Iterator[None]:
    """Lets each batch look for expired ids, which is done every fifteen minutes otherwise."""
    jvm: Any = job_spark._jvm  # noqa: SLF001 - PySpark has no public API
    properties = jvm.java.lang.System
    properties.setProperty(PAUSE, "0")
    yield
    properties.clearProperty(PAUSE)


@pytest.fixture(scope="session")
def cassandra(stack_settings: Settings) -> Iterator[Session]:
    session = connect(stack_settings)
    yield session
    close(session)


@pytest.fixture
def make_world(
    stack_settings: Settings,
    job_spark: SparkSession,
    cassandra: Session,
    make_topic: Callable[[], str],
    make_database: MakeDatabase,
    tmp_path: Path,
) -> Iterator[MakeWorld]:
    """Gives each test worlds of its own."""
    with worlds(stack_settings, job_spark, cassandra, make_topic, make_database, tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def shared_worlds(
    stack_settings: Settings,
    job_spark: SparkSession,
    cassandra: Session,
    make_topic: Callable[[], str],
    make_database: MakeDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MakeWorld]:
    """Gives worlds that all tests of a module share, which change nothing in them."""
    place = tmp_path_factory.mktemp("worlds")
    with worlds(stack_settings, job_spark, cassandra, make_topic, make_database, place) as make:
        yield make


@contextmanager
def worlds(
    stack_settings: Settings,
    job_spark: SparkSession,
    cassandra: Session,
    make_topic: Callable[[], str],
    make_database: MakeDatabase,
    place: Path,
) -> Iterator[MakeWorld]:
    """Makes worlds with their state below a folder."""
    clients = []

    def make(pipeline: Pipeline) -> World:
        name = f"t{uuid.uuid4().hex[:10]}"
        settings = stack_settings.model_copy(
            update={
                f"{pipeline.name}_topic": make_topic(),
                "customers_usa_topic": f"{name}-usa",
                "customers_alerts_topic": f"{name}-alerts",
                "mongo_database": name,
                # What a test is not about costs it no time: others are named where they matter.
                "sinks": ("cassandra", "mongodb"),
                "postgres_dsn": make_database(),
                "millrace_home": place / name,
                "output_path": str(place / name / "output"),
                "pii_hash_key": type(stack_settings.mongo_uri)(TEST_KEY),
            }
        )
        client = connect_mongodb(settings)
        clients.append(client)
        database = confirmed_database(client, settings)
        if pipeline.folder is None:
            create_tables(cassandra, pipeline, name)
            own = in_keyspace(pipeline, name)
        else:
            own = own_copy(pipeline, place / name / "pipelines", name)
            found = {"pipelines_path": own.folder.parent, "pipelines": (own.name,)}
            settings = settings.model_copy(update=found)
            create_own_tables(own, settings, database)
        return World(settings, own, name, job_spark, cassandra, database)

    # Keyspaces and topics stay: the stack and all its data go with the tests.
    yield make
    for client in clients:
        client.close()
