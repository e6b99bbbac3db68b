"""PostgreSQL as a service of the embedded stack, and its client."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from errors import SinkRejected, SinkUnavailable
from local_stack import run_as, stack
from local_stack.postgres import Postgres
from settings import PROJECT_ROOT, Settings
from sql import client, tables
from sql.declared import declared
from tests.conftest import free_ports
from tests.support.postgres import MakeDatabase

PASSWORD = "never to be shown"
QUOTED = "never%20to%20be%20told"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Postgres]:
    """A server that is not started yet, on the machine's own programs or the wheel's."""
    tools = PROJECT_ROOT / ".millrace" / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    (tmp_path / "tools").symlink_to(tools)
    service = Postgres(at(tmp_path, free_ports(1)[0]))
    yield service
    service.stop()


def at(home: Path, port: int, database: str = "millrace") -> Settings:
    dsn = SecretStr(f"postgresql://mill:{QUOTED}@127.0.0.1:{port}/{database}")
    return Settings(_env_file=None, millrace_home=home, postgres_dsn=dsn, services="+postgres")


def with_dsn(settings: Settings, dsn: str) -> Settings:
    return settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})


def changed(settings: Settings, before: str, after: str) -> Settings:
    return with_dsn(settings, settings.postgres_dsn.get_secret_value().replace(before, after))


def started(service: Postgres) -> Settings:
    service.start()
    service.wait_ready()
    return service.settings


def test_rows_survive_kill_9_and_a_clean_stop(service: Postgres) -> None:
    settings = started(service)
    client.apply_tables(settings)
    with client.connect(settings) as connection:
        connection.execute("INSERT INTO tickets (ticket_id) VALUES ('A')")

    process = service.process()
    assert process is not None
    process.kill()
    process.wait()
    assert not client.is_ready(settings)
    started(service)
    assert tables.count_rows(settings, "tickets") == 1

    assert service.stop() is True
    assert service.process() is None
    started(service)
    assert tables.count_rows(settings, "tickets") == 1


def test_stop_does_not_wait_for_clients(service: Postgres) -> None:
    settings = started(service)
    connection = client.connect(settings)

    begun = time.monotonic()
    service.stop()

    assert time.monotonic() - begun < 10
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


def test_only_the_login_of_the_address_may_enter(service: Postgres) -> None:
    settings = started(service)

    with client.connect(settings) as connection:
        row = connection.execute(
            "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == ("mill", False)
    for wrong in ("mill:wrong", "embedded_superuser:x", "postgres:x", "mill"):
        with pytest.raises(SinkRejected, match="POSTGRES_DSN") as caught:
            client.connect(changed(settings, f"mill:{QUOTED}", wrong))
        assert "wrong" not in str(caught.value)


def test_database_that_is_not_there_is_a_refusal(service: Postgres) -> None:
    settings = started(service)

    with pytest.raises(SinkRejected, match="POSTGRES_DSN"):
        client.connect(changed(settings, "/millrace", "/nothing"))


def test_password_of_the_address_may_change(service: Postgres) -> None:
    settings = started(service)
    service.stop()

    other = Postgres(changed(settings, QUOTED, "another"))
    started(other)

    assert client.is_ready(other.settings)
    assert not client.is_ready(settings)


def test_stack_starts_it_only_where_it_is_asked_for(tmp_path: Path) -> None:
    def names(**changes: str) -> list[str]:
        settings = Settings(_env_file=None, millrace_home=tmp_path, **changes)
        return [service.name for service in stack.services(settings)]

    usual = ["kafka", "cassandra", "mongodb"]
    assert names() == usual
    assert names(services="+postgres") == [*usual, "postgres"]
    assert names(sinks="cassandra,postgres") == [*usual, "postgres"]


def test_service_that_runs_is_stopped_though_settings_no_longer_name_it(
    service: Postgres,
) -> None:
    settings = started(service)
    unasked = settings.model_copy(update={"services": ()})

    assert [each.name for each in stack.services(unasked)][-1] == "postgres"
    service.stop()
    assert [each.name for each in stack.services(unasked)][-1] == "mongodb"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become someone else")
def test_root_without_user_namespaces_runs_it_unprivileged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Containers often forbid namespaces; then the server's group may pass through the folders."""
    monkeypatch.setattr(run_as, "_namespace", lambda uid, gid: ("false",))
    home = Path("/var/tmp") / f"millrace-test-{os.getpid()}"  # noqa: S108 - passable for all
    before = os.umask(0o077)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/local/bin")
    service = Postgres(at(home, free_ports(1)[0]))
    try:
        started(service)
        process = service.process()
        assert process is not None
        assert process.username() == "nobody"
        made = [home, *(home / "data").rglob("*"), *(home / "logs").rglob("*")]
        assert [each for each in made if each.stat().st_mode & 0o007] == []
    finally:
        os.umask(before)
        service.stop()
        shutil.rmtree(home)


def test_files_applied_again_change_nothing(
    postgres_server: Settings, make_database: MakeDatabase
) -> None:
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})
    with client.connect(settings) as connection:
        connection.execute("INSERT INTO tickets (ticket_id) VALUES ('A')")

    client.apply_tables(settings)

    assert tables.count_rows(settings, "tickets") == 1
    assert tables.faults(settings, declared()) == []


def test_two_processes_may_create_the_tables_at_once(
    postgres_server: Settings, make_database: MakeDatabase
) -> None:
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})
    with client.connect(settings) as connection:
        for name in declared():
            connection.execute(f"DROP TABLE {name}".encode())
    errors: list[Exception] = []

    def apply() -> None:
        try:
            client.apply_tables(settings)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert tables.faults(settings, declared()) == []


def test_no_one_but_the_owner_sees_a_row(
    postgres_server: Settings, make_database: MakeDatabase
) -> None:
    """Supabase serves tables without row security to everyone."""
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})
    with client.connect(settings) as connection:
        secured = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            " AND relkind = 'r' AND relrowsecurity ORDER BY relname"
        ).fetchall()

    assert [name for (name,) in secured] == [
        "customers_alerts",
        "customers_usa",
        "millrace_batches",
        "tickets",
        "users_profiles",
    ]


def test_tables_are_emptied_with_the_batches_of_their_pipelines(
    postgres_server: Settings, make_database: MakeDatabase
) -> None:
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})
    with client.connect(settings) as connection:
        connection.execute("INSERT INTO tickets (ticket_id) VALUES ('A')")
        connection.execute("INSERT INTO users_profiles (identifiant) VALUES (gen_random_uuid())")
        connection.execute(
            "INSERT INTO millrace_batches VALUES"
            " ('q', 0, 'tickets', 1, now()), ('r', 0, 'profiles', 1, now())"
        )

    tables.truncate(settings, ["tickets"], ["tickets"])

    assert tables.count_rows(settings, "tickets") == 0
    assert tables.count_rows(settings, "users_profiles") == 1
    with client.connect(settings) as connection:
        left = connection.execute("SELECT pipeline FROM millrace_batches").fetchall()
    assert left == [("profiles",)]


def test_rows_are_found_by_columns(postgres_server: Settings, make_database: MakeDatabase) -> None:
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})
    with client.connect(settings) as connection:
        connection.execute(
            "INSERT INTO tickets (ticket_id, assigned_team, kafka_offset)"
            " VALUES ('A', 'Billing', 1), ('B', 'Billing', 2), ('C', 'Customer Service', 3)"
        )

    rows = tables.select_rows(settings, "tickets", {"assigned_team": "Billing"}, limit=1)

    assert [row["ticket_id"] for row in rows] == ["B"]
    with pytest.raises(SinkRejected, match="nothing"):
        tables.select_rows(settings, "tickets", {"nothing": "x"})
    with pytest.raises(SinkRejected, match="absent"):
        tables.count_rows(settings, "absent")


def test_server_without_tls_is_refused_where_tls_is_wanted(postgres_server: Settings) -> None:
    address = postgres_server.postgres_dsn.get_secret_value()

    with pytest.raises(SinkRejected, match=r"SSL.*sslmode") as caught:
        client.connect(with_dsn(postgres_server, f"{address}?sslmode=require"))

    assert "s@cret" not in str(caught.value)


def test_silent_address_is_an_outage_and_shows_no_password() -> None:
    (port,) = free_ports(1)

    with pytest.raises(SinkUnavailable, match="make up") as caught:
        client.connect(at(Path("unused"), port))

    assert f"127.0.0.1:{port}/millrace" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_server_that_answers_nothing_is_an_outage_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(SinkUnavailable):
            client.connect(at(Path("unused"), port), timeout_seconds=2)
    assert time.monotonic() - begun < 10


def test_server_that_freezes_is_an_outage_in_time(
    postgres_server: Settings, make_database: MakeDatabase
) -> None:
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})

    def ask_a_frozen_one() -> None:
        with client.transaction(settings, "take batch 1", patience_seconds=1) as work:
            (pid,) = work.execute("SELECT pg_backend_pid()").fetchone() or (0,)
            os.kill(pid, signal.SIGSTOP)
            try:
                work.execute("SELECT 1")
            finally:
                os.kill(pid, signal.SIGCONT)

    with pytest.raises(SinkUnavailable, match="Nothing is lost"):
        ask_a_frozen_one()


def test_tables_can_be_made_by_psql_alone(
    postgres_server: Settings, make_database: MakeDatabase
) -> None:
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("no psql on PATH")
    settings = postgres_server.model_copy(update={"postgres_dsn": make_database()})
    files = sorted((PROJECT_ROOT / "sql").glob("[0-9]*.sql"))

    command = [psql, settings.postgres_dsn.get_secret_value(), "-v", "ON_ERROR_STOP=1"]
    outcome = subprocess.run(
        [*command, *(part for file in files for part in ("-f", str(file)))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stderr
