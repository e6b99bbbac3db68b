"""A PostgreSQL server for the tests of this process, and a schema for each test in it."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator

import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from local_stack.postgres import Postgres
from settings import PROJECT_ROOT, Settings
from sql import client
from tests.conftest import TESTS_HOME, free_ports

MakeDatabase = Callable[[], SecretStr]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Settings]:
    """The real server, with a port and a folder of its own; ends with the tests."""
    home = TESTS_HOME / f"postgres-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    home.mkdir(parents=True)
    tools = PROJECT_ROOT / ".millrace" / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    (home / "tools").symlink_to(tools)
    (port,) = free_ports(1)
    dsn = SecretStr(f"postgresql://tester:s%40cret-{port}@127.0.0.1:{port}/tests")
    settings = Settings(_env_file=None, millrace_home=home, postgres_dsn=dsn)
    service = Postgres(settings)
    try:
        service.start()
        service.wait_ready()
        yield settings
    finally:
        service.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def make_database(postgres_server: Settings) -> MakeDatabase:
    """Gives addresses of places with the platform's tables that no other test has."""

    def make() -> SecretStr:
        name = f"t{uuid.uuid4().hex[:10]}"
        with client.connect(postgres_server) as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        address = postgres_server.postgres_dsn.get_secret_value()
        dsn = SecretStr(f"{address}?options=-csearch_path%3D{name}")
        client.apply_tables(postgres_server.model_copy(update={"postgres_dsn": dsn}))
        return dsn

    return make
