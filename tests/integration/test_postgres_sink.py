"""The PostgreSQL sink against a real server: each batch once, whatever happens in between."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from errors import JobError, SinkUnavailable
from settings import Settings
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.postgres import read_rows
from spark_jobs.state import fault_points as faults
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from sql import client
from tests.integration.test_fault_points import crash, die_at
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.postgres import MakeDatabase
from tests.support.postgres_sink import alter, batch, names, rows, sink, usa

ALL_SINKS = ("cassandra", "postgres", "mongodb")


@pytest.fixture
def settings(postgres_server: Settings, make_database: MakeDatabase) -> Settings:
    return postgres_server.model_copy(update={"postgres_dsn": make_database()})


def test_tickets_and_profiles_go_there_as_to_the_other_sinks(make_world: MakeWorld) -> None:
    tickets, profiles = make_world(TICKETS), make_world(PROFILES)
    tickets.send(ticket("A"), ticket("B", request='é "q"\t名\\N\n'), ticket("A"), (b"k", b"{"))
    profiles.send(profile())

    tickets.process(sinks=ALL_SINKS)
    profiles.process(sinks=ALL_SINKS)

    assert tickets.totals() == Counts(
        read=4, stored=2, dead_lettered=1, duplicates=1, reasons={"unparseable": 1}
    )
    columns = "request, request_type, priority, assigned_team, client_id"
    assert tickets.sql(f"SELECT ticket_id, {columns} FROM tickets ORDER BY 1") == [
        ("A", "The invoice is wrong", "billing", "high", "Billing", "CLIENT_7"),
        ("B", 'é "q"\t名\\N', "billing", "high", "Billing", "CLIENT_7"),
    ]
    assert tickets.sql("SELECT DISTINCT created_at FROM tickets") == [
        (datetime(2026, 11, 22, 10, 5, 0, 123000, tzinfo=UTC),)
    ]
    assert tickets.sql("SELECT batch_id, pipeline, rows FROM millrace_batches") == [
        (0, "tickets", 2)
    ]
    in_cassandra = profiles.rows("users_profiles")
    assert len(in_cassandra) == 1
    stored = read_rows(profiles.spark, profiles.settings, PROFILES.sql_tables[0]).collect()
    columns_of_both = [name for name in in_cassandra[0] if not name.endswith(("_timestamp",))]
    assert [[str(row[name]) for name in columns_of_both] for row in stored] == [
        [str(row[name]) for name in columns_of_both] for row in in_cassandra
    ]


@pytest.mark.parametrize("point", ["before-postgres", "in-postgres-transaction", "before-ledger"])
def test_job_that_dies_there_leaves_each_row_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    world = make_world(TICKETS)
    world.send(ticket("A"), ticket("B"))

    crash(world, monkeypatch, point, sinks=ALL_SINKS)
    confirmed = 2 if point == "before-ledger" else 0
    assert world.sql("SELECT count(*) FROM tickets") == [(confirmed,)]
    assert world.sql("SELECT count(*) FROM millrace_batches") == [(confirmed // 2,)]
    world.process(sinks=ALL_SINKS)

    assert world.sql("SELECT ticket_id FROM tickets ORDER BY 1") == [("A",), ("B",)]
    assert world.sql("SELECT rows FROM millrace_batches") == [(2,)]
    assert world.totals() == Counts(read=2, stored=2)


def test_batch_that_was_committed_is_left_alone(
    job_spark: SparkSession, settings: Settings
) -> None:
    sink(settings).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)

    # What a repeated batch holds is the same; other rows show that nothing was written.
    sink(settings).write_batch(batch(usa(job_spark, ("1", "Bob"), ("2", "Cid"))), 0)
    assert names(settings) == {"1": "Ann"}

    sink(settings).write_batch(batch(usa(job_spark, ("1", "Bob"), ("2", "Cid"))), 1)
    assert names(settings) == {"1": "Bob", "2": "Cid"}


def test_batch_that_is_replayed_is_written_again(
    job_spark: SparkSession, settings: Settings
) -> None:
    ann = batch(usa(job_spark, ("1", "Ann"), ("2", "Cid")))
    sink(settings).write_batch(ann, 0)
    alter(settings, "DELETE FROM customers_usa WHERE customer_id = '2'")

    sink(settings).write_batch(replace(ann, is_replay=True), 0)

    assert names(settings) == {"1": "Ann", "2": "Cid"}
    assert rows(settings, "SELECT batch_id, rows FROM millrace_batches") == [(0, 2)]


def test_failure_after_the_first_table_undoes_it(
    job_spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = usa(job_spark, ("1", "Ann"))
    with monkeypatch.context() as patched:
        die_at(patched, "in-postgres-transaction")
        with pytest.raises(JobError, match="died at in-postgres-transaction"):
            sink(settings).write_batch(batch(records), 0)
    assert names(settings) == {}

    sink(settings).write_batch(batch(records), 0)

    assert names(settings) == {"1": "Ann"}


def test_column_that_a_user_has_added_gets_its_default(
    job_spark: SparkSession, settings: Settings
) -> None:
    alter(settings, "ALTER TABLE customers_usa ADD loaded_at timestamptz NOT NULL DEFAULT now()")
    alter(settings, "ALTER TABLE customers_usa ADD row_number bigint GENERATED ALWAYS AS IDENTITY")

    sink(settings).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)

    assert names(settings) == {"1": "Ann"}


def test_connection_lost_before_the_commit_is_an_outage_and_repeated(
    job_spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = usa(job_spark, ("1", "Ann"))

    def lose(name: str) -> None:
        """Ends all sessions that are in a transaction, as a restart of the server does."""
        alter(
            settings,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE"
            " 'idle in transaction%' AND pid <> pg_backend_pid()",
        )

    with monkeypatch.context() as patched:
        patched.setattr("spark_jobs.sinks.postgres.fault_point", lose)
        with pytest.raises(SinkUnavailable, match="PostgreSQL did not take batch 0"):
            sink(settings).write_batch(batch(records), 0)
    assert names(settings) == {}

    sink(settings).write_batch(batch(records), 0)

    assert names(settings) == {"1": "Ann"}


def test_two_writers_of_one_batch_write_it_once(
    job_spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a job that was thought dead still works; rows that differ show who wrote."""
    first_is_in, first_may_end = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def wait(name: str) -> None:
        first_is_in.set()
        first_may_end.wait(30)

    def write(name: str) -> None:
        try:
            sink(settings).write_batch(batch(usa(job_spark, ("1", name))), 0)
        except BaseException as error:
            errors.append(error)

    monkeypatch.setattr("spark_jobs.sinks.postgres.fault_point", wait)
    first = threading.Thread(target=write, args=("first",))
    second = threading.Thread(target=write, args=("second",))
    first.start()
    assert first_is_in.wait(30)
    second.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(300):
        if rows(settings, waiting) == [(1,)]:
            break
        second.join(0.1)
    assert second.is_alive()
    first_may_end.set()
    first.join(30)
    second.join(30)

    assert errors == []
    assert names(settings) == {"1": "first"}
    assert rows(settings, "SELECT rows FROM millrace_batches") == [(1,)]


def test_batch_without_rows_is_entered_and_changes_nothing(
    job_spark: SparkSession, settings: Settings
) -> None:
    sink(settings).write_batch(batch(usa(job_spark)), 0)

    assert names(settings) == {}
    assert rows(settings, "SELECT batch_id, rows FROM millrace_batches") == [(0, 0)]


def test_nothing_outlives_the_transaction_that_a_pooler_would_lose(
    job_spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In transaction mode the next transaction may meet another session, or someone else's."""
    seen: list[list[tuple[Any, ...]]] = []
    connect = client.connect

    def keep(*arguments: Any) -> Any:
        connection = connect(*arguments)
        commit = connection.commit

        def look_after() -> None:
            commit()
            for query in (
                "SELECT name FROM pg_prepared_statements",
                "SELECT relname FROM pg_class WHERE relpersistence = 't'"
                " AND relnamespace = pg_my_temp_schema()",
                "SELECT name FROM pg_settings WHERE source = 'session'",
                "SELECT classid FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid = pg_backend_pid()",
            ):
                seen.append(connection.execute(query.encode()).fetchall())

        connection.commit = look_after
        return connection

    monkeypatch.setattr(client, "connect", keep)
    with client.transaction(settings, "ask") as work:
        for number in range(10):
            work.execute("SELECT %s::int", [number])
    for number in range(7):
        sink(settings).write_batch(batch(usa(job_spark, (str(number), "Ann"))), number)

    assert len(seen) >= 4 * 8
    assert [each for each in seen if each] == []
    monkeypatch.undo()
    assert len(names(settings)) == 7


def test_fault_points_of_the_sink_are_named() -> None:
    assert {"before-postgres", "in-postgres-transaction"} <= set(faults.FAULT_POINTS)
