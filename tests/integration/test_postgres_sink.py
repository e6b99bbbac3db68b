"""The PostgreSQL sink against a real server: exact once, whatever happens in between."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier
from pyspark.sql import DataFrame, SparkSession

from errors import JobError, SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.aggregates import BatchSummary
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.postgres import PostgresSink, jdbc_options, read_rows
from spark_jobs.state import fault_points as faults
from spark_jobs.state.ledger import Counts
from spark_jobs.targets import SqlTable
from spark_jobs.tickets import TICKETS
from sql import client
from sql.tables import select_rows
from tests.conftest import free_ports
from tests.integration.test_fault_points import crash, die_at
from tests.integration.test_profiles_pipeline import profile
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.postgres import MakeDatabase

pytestmark = pytest.mark.extended

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
ALL_SINKS = ("cassandra", "postgres", "mongodb")
USA_SCHEMA = (
    "customer_id string, first_name string, created_at timestamp, kafka_partition int,"
    " kafka_offset bigint, kafka_timestamp timestamp"
)
ALERT_SCHEMA = (
    "kafka_topic string, kafka_partition int, kafka_offset bigint, kafka_timestamp timestamp,"
    " reasons array<string>, customer_id string, created_at timestamp"
)
USA = SqlTable("customers_usa", lambda rows: rows, key=("customer_id",))
ALERTS = SqlTable(
    "customers_alerts",
    lambda rows: rows,
    key=("kafka_topic", "kafka_partition", "kafka_offset"),
)
SENT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


@pytest.fixture
def settings(postgres_server: Settings, make_database: MakeDatabase) -> Settings:
    return postgres_server.model_copy(update={"postgres_dsn": make_database()})


def usa(
    spark: SparkSession, *rows: tuple[str | None, ...], created_at: datetime = SENT
) -> DataFrame:
    """Customers of an id and a first name, in the order of the topic."""
    return spark.createDataFrame(
        [(*row, created_at, 0, offset, SENT) for offset, row in enumerate(rows)], USA_SCHEMA
    )


def batch(records: DataFrame) -> Batch:
    return Batch(records, BatchSummary(Counter(), Counter()), QUERY)


def sink(settings: Settings, *tables: SqlTable) -> PostgresSink:
    return PostgresSink(settings, "customers", tables or (USA,))


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with client.connect(settings) as connection:
        return connection.execute(query.encode()).fetchall()


def alter(settings: Settings, statement: str) -> None:
    with client.connect(settings) as connection:
        connection.execute(statement.encode())


def names(settings: Settings) -> dict[str, str]:
    return dict(rows(settings, "SELECT customer_id, first_name FROM customers_usa"))  # type: ignore[arg-type]


def test_tickets_and_profiles_go_there_beside_the_other_sinks(make_world: MakeWorld) -> None:
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


def test_every_kind_of_value_comes_back_as_it_went(
    job_spark: SparkSession, settings: Settings
) -> None:
    early = datetime(1900, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    late = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    tricky = 'a"b,c{d}e\\f\tg\nh\ri'
    sent = [
        ("t", 0, 0, early, [], "", None),
        ("t", 0, 1, late, ["missing_email", tricky, "", "NULL", "null"], r"\N", early),
        ("t", 1, 2**62, SENT, None, tricky, late),
        ("t", 2, 3, SENT, ["名", "é", "\U0001f600"], "\\.\n\\.", None),
        ("t", 2, 4, SENT, [None], None, None),
    ]
    records = job_spark.createDataFrame(sent, ALERT_SCHEMA)

    sink(settings, ALERTS).write_batch(batch(records), 0)

    columns = [part.split(" ")[0] for part in ALERT_SCHEMA.split(", ")]
    query = f"SELECT {', '.join(columns)} FROM customers_alerts ORDER BY 2, 3"
    assert rows(settings, query) == sent
    read = read_rows(job_spark, settings, ALERTS).select(*columns).orderBy(columns[1], columns[2])
    assert [tuple(_utc(value) for value in row) for row in read.collect()] == sent


def _utc(value: Any) -> Any:
    """PySpark hands times over in the machine's zone, without saying so."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def test_nul_becomes_the_replacement_character_and_stops_no_job(
    job_spark: SparkSession, settings: Settings
) -> None:
    records = usa(job_spark, ("1", "A\x00nn"), ("\x002", "B"), ("�2", "later, the same id now"))

    sink(settings).write_batch(batch(records), 0)

    assert names(settings) == {"1": "A�nn", "�2": "B"}


def test_store_that_is_away_is_an_outage(job_spark: SparkSession, settings: Settings) -> None:
    (port,) = free_ports(1)
    away = settings.model_copy(
        update={"postgres_dsn": type(settings.postgres_dsn)(f"postgresql://x@127.0.0.1:{port}/x")}
    )

    with pytest.raises(SinkUnavailable, match="make up"):
        sink(away).check()
    with pytest.raises(SinkUnavailable, match="make up"):
        sink(away).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DROP TABLE customers_usa", "no table `customers_usa`"),
        ("DROP TABLE millrace_batches", "no table `millrace_batches`"),
        ("ALTER TABLE customers_usa DROP first_name", "no column `customers_usa.first_name`"),
        (
            "ALTER TABLE customers_usa ALTER kafka_offset TYPE int",
            "`customers_usa.kafka_offset` is integer, not bigint",
        ),
        (
            "ALTER TABLE customers_usa DROP CONSTRAINT customers_usa_pkey",
            "the primary key of `customers_usa` is not customer_id",
        ),
    ],
)
def test_table_that_differs_is_refused_before_and_while_writing(
    job_spark: SparkSession, settings: Settings, statement: str, fault: str
) -> None:
    sink(settings).check()
    alter(settings, statement)

    with pytest.raises(SinkRejected, match="`make up` creates what is missing") as refused:
        sink(settings).check()
    assert fault in str(refused.value)


def test_refused_row_is_told_without_its_values(
    job_spark: SparkSession, settings: Settings
) -> None:
    alter(settings, "ALTER TABLE customers_usa ALTER first_name TYPE int USING NULL")

    with pytest.raises(SinkRejected, match="Nothing is lost") as refused:
        sink(settings).write_batch(batch(usa(job_spark, ("1", "never to be told"))), 0)

    assert "never to be told" not in str(refused.value)
    assert "never to be told" not in (settings.millrace_home / "logs/postgres.log").read_text()
    alter(settings, "ALTER TABLE customers_usa ALTER first_name TYPE text")
    sink(settings).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)
    assert names(settings) == {"1": "Ann"}


def test_row_without_its_key_is_refused(job_spark: SparkSession, settings: Settings) -> None:
    with pytest.raises(SinkRejected, match=r"refused to take batch 0.*23502"):
        sink(settings).write_batch(batch(usa(job_spark, (None, "Ann"))), 0)


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


def test_password_is_in_no_error_plan_or_representation(
    job_spark: SparkSession, settings: Settings
) -> None:
    password = client.login(settings).password
    assert password
    sink(settings).write_batch(batch(usa(job_spark, ("1", "Ann"))), 0)
    read = read_rows(job_spark, settings, USA)
    assert read.count() == 1

    texts = [repr(settings), repr(sink(settings)), repr(client.login(settings))]
    plan = read._jdf.queryExecution()  # noqa: SLF001 - PySpark has no public API
    texts += [plan.toString(), plan.analyzed().toJSON()]
    texts += [jdbc_options(settings)["url"]]
    for text in texts:
        assert password not in text
        assert "s%40cret" not in text


def test_table_of_many_rows_is_read_in_parts_whole(
    job_spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark_jobs.sinks.postgres.ROWS_PER_PARTITION", 100)
    with client.connect(settings) as connection:
        query = SQL(
            "INSERT INTO {} (customer_id, kafka_offset) SELECT n, n FROM generate_series(0, 999) n"
        )
        connection.execute(query.format(Identifier("customers_usa")))
        connection.execute("INSERT INTO customers_usa (customer_id) VALUES ('by hand')")

    read = read_rows(job_spark, settings, USA)

    assert read.rdd.getNumPartitions() == 11
    assert read.select("customer_id").distinct().count() == 1001


def test_fault_points_of_the_sink_are_named() -> None:
    assert {"before-postgres", "in-postgres-transaction"} <= set(faults.FAULT_POINTS)


def test_times_that_no_record_has_are_shown_and_read_without_an_error(
    settings: Settings, job_spark: SparkSession
) -> None:
    far = "294276-01-01 00:00:00+00"
    times = {"A": "infinity", "B": "-infinity", "C": far, "D": "9999-12-31 23:59:59.999+00"}
    for name, at in times.items():
        alter(
            settings,
            "INSERT INTO customers_usa (customer_id, first_name, last_name, email, country,"
            " created_at, kafka_partition, kafka_offset, kafka_timestamp)"
            f" VALUES ('{name}', 'a', 'b', 'c@d', 'USA', '{at}', 0, {2**63 - 1}, '{at}')",
        )
    alter(settings, "UPDATE customers_usa SET created_at = NULL WHERE customer_id = 'A'")

    shown = {row["customer_id"]: row for row in select_rows(settings, "customers_usa")}
    read = {
        row.customer_id: (row.created, row.kafka)
        for row in read_rows(job_spark, settings, USA)
        .selectExpr("customer_id", "string(created_at) created", "string(kafka_timestamp) kafka")
        .collect()
    }

    assert [shown[name]["kafka_timestamp"] for name in "ABC"] == ["infinity", "-infinity", far]
    assert shown["D"]["kafka_timestamp"] == datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    elsewhere = "+20000-01-01 00:00:00"
    assert read == {
        "A": (None, elsewhere),
        "B": (elsewhere, elsewhere),
        "C": (elsewhere, elsewhere),
        "D": ("9999-12-31 23:59:59.999",) * 2,
    }
