"""What every tier shares: markers by folder, and one embedded stack for those that need it."""

from __future__ import annotations

import gc
import logging
import os
import random
import shutil
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dotenv import dotenv_values
from pydantic import SecretStr

from settings import PROJECT_ROOT, SECRETS_VARIABLE, Settings, load_settings
from tests.support.order import longest_first

# Tests that call `make` are started by `make`, which would pass its own level and flags on.
for _name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(_name, None)

# JVMs of tests live for seconds: compiling for speed costs them more than it gives, a third of all
# that the suite computes. What they compute stays the same.
_java_options = os.environ.get("JAVA_TOOL_OPTIONS", "")
if "TieredStopAtLevel" not in _java_options:
    # That alone would also shrink Java's room for compiled code: it keeps its usual size.
    os.environ["JAVA_TOOL_OPTIONS"] = (
        f"{_java_options} -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m".strip()
    )

TIERS = ("unit", "browser", "spark", "integration", "e2e")
TESTS_HOME = PROJECT_ROOT / ".millrace" / "tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = item.path.relative_to(PROJECT_ROOT / "tests").parts[0]
        if tier in TIERS:
            item.add_marker(tier)
    longest_first(items)


@pytest.fixture(autouse=True)
def log_handlers_of_the_test_alone() -> Iterator[None]:
    """A command that sets up logging leaves no handler that writes to a closed output."""
    before = [*logging.root.handlers]
    yield
    for handler in {*logging.root.handlers} - {*before}:
        if type(handler) is logging.StreamHandler:
            logging.root.removeHandler(handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what a worker that was killed has left; its own fixtures do so otherwise."""
    if hasattr(config, "workerinput"):
        return
    from local_stack import stack
    from local_stack.orphans import servers_on
    from local_stack.postgres import Postgres
    from runtime.processes import kill_family

    for home in TESTS_HOME.glob("*-[0-9]*"):
        if psutil.pid_exists(int(home.name.split("-")[1])):
            continue
        settings = Settings(_env_file=None, millrace_home=home)
        if home.name.startswith("stack-"):
            stack.down(settings)
        else:
            Postgres(settings).stop()
        for server in servers_on(home).values():
            kill_family(server)
        shutil.rmtree(home, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the scores that tests recorded, in whichever process they ran."""
    for report in (each for found in terminalreporter.stats.values() for each in found):
        for name, text in getattr(report, "user_properties", ()):
            if name == "score" and report.when == "call":
                terminalreporter.write_line(text)


@pytest.fixture(autouse=True)
def _settings_of_the_user_do_not_count(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests see defaults and what they set, not the environment in which they are started."""
    if request.node.path.parts[-2] in {"integration", "e2e"}:
        return
    monkeypatch.delenv(SECRETS_VARIABLE, raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


# Below those that the system gives to outgoing connections, which would take a port back before the
# service that it was meant for has started.
FIRST_PORT, LAST_PORT = 15_000, 32_000
# A test that sets one port leaves MongoDB's as it is by default, and no two may be the same.
MONGODB_PORT = 27_017


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all are taken before any is let go."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            each = socket.socket()
            try:
                port = random.randint(FIRST_PORT, LAST_PORT)
                each.bind(("127.0.0.1", port + (port == MONGODB_PORT)))
            except OSError:
                each.close()
            else:
                sockets.append(each)
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


# For settings whose default is "absent": values that change nothing on the embedded stack. Only a
# value in the environment wins over the user's `.env`; an empty one does not.
WITHOUT_EFFECT = {
    "jars_path": ".millrace/jars",
    "kafka_controller_port": "32001",
    "cassandra_storage_port": "32002",
    "kafka_sasl_mechanism": "PLAIN",
    "kafka_sasl_username": "unused",
    "kafka_sasl_password": "unused",
    "kafka_ssl_ca_location": "unused.pem",
    "cassandra_username": "unused",
    "dashboard_password": "unused",
    "cassandra_password": "unused",
    "cassandra_ssl_ca_location": "unused.pem",
    "spark_executor_memory": "1g",
    "spark_executor_cores": "1",
    "pii_hash_key": "a key for tests only",
    "aws_access_key_id": "unused",
    "aws_secret_access_key": "unused",
    "aws_session_token": "unused",
    "aws_region": "us-east-1",
    "s3_endpoint_url": "http://127.0.0.1:1",
    "hadoop_conf_dir": "unused",
    "hadoop_user_name": "unused",
}


def explicit_settings(env_file: Path) -> dict[str, str]:
    """Every setting as an environment variable, so that no process reads it from `env_file`.

    Settings without a default appear only where the file has them.
    """
    in_file = {name.lower() for name, value in dotenv_values(env_file).items() if value}
    texts = {name: _text(field.default) for name, field in Settings.model_fields.items()}
    return {
        name.upper(): WITHOUT_EFFECT[name] if text is None else text
        for name, text in texts.items()
        if text is not None or name in in_file
    }


def _text(default: Any) -> str | None:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(default)
    return None if default is None else str(default)


@pytest.fixture(scope="session")
def stack_settings() -> Iterator[Settings]:
    """A running embedded stack with ports and a state folder of its own; ends with the tests.

    `TEST_STACK_ENV=file` names the settings of one that is up already and stays so: quicker, while
    single tests are written.
    """
    if running := os.environ.get("TEST_STACK_ENV"):
        os.environ.update({k: v for k, v in dotenv_values(running).items() if v})
        yield load_settings(env_file=Path("no.env"))
        return
    from local_stack import stack
    from operations.prepare import prepare_stores
    from runtime.jars import ensure_jars
    from runtime.java import find_java, java_environment

    kafka_port, cassandra_port, mongodb_port = free_ports(3)
    home = TESTS_HOME / f"stack-{os.getpid()}"
    home.mkdir(parents=True)
    # What was downloaded serves all stacks of the checkout.
    for name in ("jars", "tools"):
        shared = PROJECT_ROOT / ".millrace" / name
        shared.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(shared)
    before = dict(os.environ)
    os.environ.pop(SECRETS_VARIABLE, None)
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    environment = explicit_settings(PROJECT_ROOT / ".env") | {
        "MILLRACE_HOME": str(home),
        "OUTPUT_PATH": str(home / "output"),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka_port}",
        "CASSANDRA_PORT": str(cassandra_port),
        "MONGO_URI": f"mongodb://127.0.0.1:{mongodb_port}",
    }
    # Child processes (producers, jobs, make) read the same settings from the environment.
    os.environ.update(environment)
    settings = load_settings(env_file=Path("no.env"))
    try:
        java = find_java(settings)
        os.environ.update(java_environment(java))
        ensure_jars(settings, ["spark", "kafka", "cassandra"], print, java)
        stack.up(settings)
        prepare_stores(settings, print)
        yield settings
    finally:
        # Producers that tests left in cycles would go on asking for the broker, and say so.
        gc.collect()
        stack.down(settings)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def settings(stack_settings: Settings) -> Settings:
    """Settings of the running test stack."""
    return stack_settings


@pytest.fixture(scope="session")
def make_topic(stack_settings: Settings) -> Callable[[], str]:
    """Creates topics (with their dead-letter topics) that no other test has."""
    from spark_jobs.sources.topics import ensure_topics

    def make() -> str:
        topic = f"test-{uuid.uuid4().hex[:12]}"
        ensure_topics(stack_settings, [topic])
        return topic

    # They stay: the stack and all its data go with the tests.
    return make
