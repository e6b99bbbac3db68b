"""PostgreSQL without a server: its address, its errors, its declared tables."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from pydantic import SecretStr, ValidationError

from errors import SettingsError, SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.profiles import PROFILES
from spark_jobs.sinks.postgres import jdbc_options
from spark_jobs.tickets import TICKETS
from sql import client
from sql.declared import PostgresShape, declared

PASSWORD = "p@ss/word"
QUOTED = "p%40ss%2Fword"
LINEAGE = {
    "kafka_partition": "integer",
    "kafka_offset": "bigint",
    "kafka_timestamp": "timestamp with time zone",
}


def at(dsn: str) -> Settings:
    return Settings(_env_file=None, postgres_dsn=SecretStr(dsn))


def test_address_of_supabase_is_read_whole_and_shown_without_its_secret() -> None:
    settings = at(f"postgresql://postgres.ref:{QUOTED}@pooler.supabase.com:6543/postgres")

    access = client.login(settings)

    assert (access.host, access.port, access.database) == ("pooler.supabase.com", 6543, "postgres")
    assert (access.user, access.password) == ("postgres.ref", PASSWORD)
    assert settings.postgres_address == "pooler.supabase.com:6543/postgres"
    for text in (repr(settings), repr(access), str(settings.postgres_dsn)):
        assert PASSWORD not in text
        assert QUOTED not in text


@pytest.mark.parametrize(
    ("host", "environment", "expected"),
    [
        pytest.param("db.example.com", None, "require", id="elsewhere-wants-tls"),
        pytest.param("db.example.com/x?sslmode=verify-full", None, "verify-full", id="as-it-says"),
        pytest.param("db.example.com/x?sslmode=disable", None, "disable", id="even-without"),
        pytest.param("db.example.com", "verify-full", "verify-full", id="as-libpq-is-message"),
        pytest.param("127.0.0.1", None, None, id="loopback-does-not"),
        pytest.param("localhost", None, None, id="localhost-does-not"),
    ],
)
def test_tls_is_required_outside_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str, environment: str | None, expected: str | None
) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    if environment:
        monkeypatch.setenv("PGSSLMODE", environment)
    settings = at(f"postgresql://u@{host}" + ("" if "/" in host else "/x"))

    assert client.login(settings).sslmode == expected


@pytest.mark.parametrize(
    "dsn",
    [
        f"mysql://u:{QUOTED}@host/db",
        f"postgresql://u:{QUOTED}@host:port/db",
        f"postgresql://u:{QUOTED}@/db",
        f"postgresql://u:{QUOTED}@host",
        "host=127.0.0.1 dbname=x password=p%40ss",
    ],
)
def test_address_that_cannot_be_read_is_refused_without_being_shown(dsn: str) -> None:
    with pytest.raises(ValidationError) as refused:
        at(dsn)

    assert "expected `postgresql://" in str(refused.value)
    assert "p%40ss" not in str(refused.value)


def test_option_that_libpq_does_not_know_is_refused_without_the_address() -> None:
    with pytest.raises(SettingsError, match="POSTGRES_DSN") as refused:
        client.login(at(f"postgresql://u:{QUOTED}@host/db?nothing=1"))

    assert QUOTED not in str(refused.value)
    assert refused.value.__suppress_context__


def test_spark_finds_the_same_database_and_gets_the_password_separately() -> None:
    settings = at(f"postgresql://u:{QUOTED}@db.example.com/my%20db?options=-csearch_path%3Dx")

    options = jdbc_options(settings)

    assert options.pop("password") == PASSWORD
    assert options == {
        "url": "jdbc:postgresql://db.example.com:5432/my%20db?prepareThreshold=0"
        "&ApplicationName=millrace&sslmode=require&options=-csearch_path%3Dx",
        "driver": "org.postgresql.Driver",
        "user": "u",
    }


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("the connection is lost"),
        psycopg.errors.AdminShutdown("terminating connection"),
        psycopg.errors.CannotConnectNow("the database system is starting up"),
        psycopg.errors.TooManyConnections("sorry, too many clients already"),
        psycopg.errors.DeadlockDetected("deadlock detected"),
        psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"),
        psycopg.errors.DiskFull("could not extend file"),
        psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_transient_error_is_an_outage(error: psycopg.Error) -> None:
    assert type(client.store_error("take batch 1", error)) is SinkUnavailable


@pytest.mark.parametrize(
    "make",
    [
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.NotNullViolation,
        psycopg.errors.ProgramLimitExceeded,
        psycopg.DataError,
    ],
)
def test_error_that_needs_a_change_is_a_refusal(make: Callable[[str], psycopg.Error]) -> None:
    assert type(client.store_error("take batch 1", make("no"))) is SinkRejected


def test_error_names_columns_but_shows_no_value() -> None:
    missing = psycopg.errors.UndefinedColumn('column "priority" does not exist\nLINE 1: x')
    value = psycopg.errors.InvalidTextRepresentation('invalid input syntax: "my secret"\nCONTEXT')

    assert 'column "priority" does not exist (42703)' in str(client.store_error("do", missing))
    message = str(client.store_error("do", value))
    assert "invalid input syntax: … (22P02)" in message
    assert "CONTEXT" not in message


def test_files_declare_the_tables_of_the_interface() -> None:
    found = declared()

    assert set(found) == {
        "tickets",
        "millrace_batches",
        "users_profiles",
        "customers_usa",
        "customers_alerts",
    }
    assert found["tickets"] == PostgresShape(
        {
            "ticket_id": "text",
            "client_id": "text",
            "created_at": "timestamp with time zone",
            "request": "text",
            "request_type": "text",
            "priority": "text",
            "assigned_team": "text",
        }
        | LINEAGE,
        ("ticket_id",),
        "sql/010_tickets.sql",
    )
    assert found["users_profiles"].columns["identifiant"] == "uuid"
    assert found["users_profiles"].columns["age"] == "integer"
    assert found["customers_alerts"].columns["reasons"] == "text[]"
    assert found["customers_alerts"].key == ("kafka_topic", "kafka_partition", "kafka_offset")


@pytest.mark.parametrize("pipeline", [TICKETS, PROFILES], ids=lambda pipeline: pipeline.name)
def test_tables_of_the_pipelines_are_declared_with_their_keys(pipeline: object) -> None:
    sql_tables = pipeline.sql_tables  # type: ignore[attr-defined]

    assert sql_tables
    for table in sql_tables:
        assert declared()[table.name].key == table.key == pipeline.id_columns  # type: ignore[attr-defined]


def test_extra_services_are_a_list_with_plus_signs() -> None:
    assert Settings(_env_file=None, services="+postgres, +hdfs").services == ("postgres", "hdfs")
    assert not Settings(_env_file=None).starts("postgres")
    assert Settings(_env_file=None, sinks="postgres").starts("postgres")
    with pytest.raises(ValidationError, match=r"valid: \+postgres, \+hdfs"):
        Settings(_env_file=None, services="+redis")
