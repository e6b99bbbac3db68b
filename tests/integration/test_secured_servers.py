"""`STACK=external` on servers that want TLS and logins: Kafka, Cassandra and MongoDB of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cql.client import close, connect
from errors import DeliveryError, SinkError
from local_stack.shells import run_cqlsh, run_mongosh
from operations.doctor.broker_checks import look_at_kafka
from operations.doctor.store_checks import look_at_cassandra, look_at_mongodb
from producers.delivery import Delivery
from runtime.config.env_file import setting_line
from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, Settings
from spark_jobs.run.locks import running_job
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sources.broker import existing_topics
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.support.leaks import Places, command_lines, java_environments, leaks, spark_ui
from tests.support.processes import wait_for
from tests.support.secured import (
    PLAIN_PASSWORD,
    SECRETS,
    USER,
    Secured,
    secured_servers,
)

DOCUMENT = (PROJECT_ROOT / "docs" / "deployment.md").read_text()
UP, PRODUCE, JOB, VERIFY = re.findall(
    r"^\.venv/bin/(.+)$", DOCUMENT.split("## Cloud")[1].split("\n## ")[0], re.MULTILINE
)
AUTHORITY = "does not know the authority that issued its certificate"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Servers that are prepared by `millrace up`, which logs in with PLAIN."""
    with secured_servers(tmp_path_factory.mktemp("secured")) as servers:
        done = run(servers, UP, KAFKA_SASL_MECHANISM="PLAIN", **PLAIN)
        assert done.returncode == 0, done.stderr
        assert "neither starts nor stops" in done.stdout
        assert "topics, tables and collections are ready" in done.stdout
        yield servers


PLAIN = {"KAFKA_SASL_PASSWORD": PLAIN_PASSWORD}


def environment(servers: Secured, **changes: str) -> dict[str, str]:
    """The environment of a user, whose settings are all in an `.env`."""
    home = Path(servers.environment["MILLRACE_HOME"])
    lines = servers.environment | {
        "PII_HASH_KEY": "a key for tests only",
        "SINKS": "cassandra,mongodb",
        "SPARK_MASTER": "local[2]",
        "LOG_LEVEL": "DEBUG",
        **changes,
    }
    file = home / "user.env"
    file.write_text("".join(setting_line(name, value) for name, value in lines.items()))
    inherited = {n: v for n, v in os.environ.items() if n.lower() not in Settings.model_fields}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {ENV_FILE_VARIABLE: str(file), "PATH": programs}


def run(servers: Secured, command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command.split(),
        cwd=PROJECT_ROOT,
        env=environment(servers, **changes),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def ask_kafka(settings: Settings) -> None:
    existing_topics(settings)


def produce(settings: Settings) -> None:
    Delivery(settings, "client_tickets").connect()


def ask_cassandra(settings: Settings) -> None:
    close(connect(settings, timeout_seconds=10))


def ask_mongodb(settings: Settings) -> None:
    with connect_mongodb(settings, timeout_seconds=2) as client:
        check_mongodb(client, settings)


@pytest.mark.parametrize(
    ("ask", "changes", "words"),
    [
        (ask_kafka, {"KAFKA_SASL_PASSWORD": "wrong-one"}, "KAFKA_SASL_PASSWORD"),
        (
            ask_kafka,
            {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_PASSWORD": "wrong-one"},
            "KAFKA_SASL_PASSWORD",
        ),
        (
            ask_kafka,
            {"KAFKA_SSL_CA_LOCATION": "unknown"},
            f"{AUTHORITY}: set KAFKA_SSL_CA_LOCATION",
        ),
        (
            ask_kafka,
            {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "KAFKA_CONNECT_TIMEOUT_SECONDS": "3"},
            "KAFKA_SECURITY_PROTOCOL",
        ),
        (produce, {"KAFKA_SASL_PASSWORD": "wrong-one"}, "KAFKA_SASL_PASSWORD"),
        (produce, {"KAFKA_SSL_CA_LOCATION": "unknown"}, f"{AUTHORITY}: set KAFKA_SSL_CA_LOCATION"),
        (ask_cassandra, {"CASSANDRA_PASSWORD": "wrong-one"}, "CASSANDRA_PASSWORD"),
        (
            ask_cassandra,
            {"CASSANDRA_SSL_CA_LOCATION": "unknown"},
            f"{AUTHORITY}: set CASSANDRA_SSL_CA_LOCATION",
        ),
        (ask_cassandra, {"CASSANDRA_SSL": "false"}, "CASSANDRA_SSL"),
        (ask_mongodb, {"MONGO_URI": f"{USER}:[^@]+@>{USER}:wrong-one@"}, "needs a login"),
        (
            ask_mongodb,
            {"MONGO_URI": "tlsCAFile=.*>tlsCAFile=unknown"},
            f"{AUTHORITY}: set `tlsCAFile` in `MONGO_URI`",
        ),
        (ask_mongodb, {"MONGO_URI": "tls=true&.*>"}, "`tls=true`"),
    ],
    ids=lambda value: value.__name__ if callable(value) else next(iter(value), "") if value else "",
)
def test_what_does_not_fit_is_named_with_its_setting(
    secured: Secured, ask: Callable[[Settings], None], changes: dict[str, str], words: str
) -> None:
    changed = {name: filled(secured, name, change) for name, change in changes.items()}

    with pytest.raises((SinkError, DeliveryError)) as caught:
        ask(secured.settings(**changed))

    assert words in str(caught.value)
    assert "wrong-one" not in str(caught.value)
    assert leaks(SECRETS, {"error": str(caught.value).lower().encode()}) == []


def test_doctor_checks_secured_servers_and_reports_a_foreign_authority(
    secured: Secured,
) -> None:
    settings = secured.settings()
    other = secured.settings(CASSANDRA_SSL_CA_LOCATION=str(secured.unknown_authority))

    seen = [*look_at_kafka(settings), *look_at_cassandra(settings), *look_at_mongodb(settings)]
    untrusted, _ = look_at_cassandra(other)

    faults = [f"{line.name}: {line.text}" for line in seen if line.status != "ok"]
    assert faults == []
    assert untrusted.status == "fix"
    assert f"{AUTHORITY}: set CASSANDRA_SSL_CA_LOCATION" in untrusted.text


def filled(secured: Secured, name: str, change: str) -> str:
    """The changed value of a setting; `pattern>text` replaces a part of the right one."""
    if ">" in change:
        change = re.sub(*change.split(">"), secured.environment[name])
    return change.replace("unknown", str(secured.unknown_authority))


def test_command_with_a_wrong_password_fails_at_once_and_names_the_setting(
    secured: Secured,
) -> None:
    done = run(secured, UP, KAFKA_SASL_PASSWORD="wrong-one")

    assert done.returncode == 1
    assert "Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong-one" not in done.stdout + done.stderr


def test_tickets_go_through_exactly_and_no_secret_is_seen(secured: Secured) -> None:
    settings = secured.settings(SINKS="cassandra,mongodb")
    home = settings.millrace_home
    sent = run(
        secured,
        f"{PRODUCE} --seed 11",
        KAFKA_SASL_MECHANISM="SCRAM-SHA-256",
    )
    assert sent.stdout.splitlines()[-1:] == ["sent=60 delivered=60 failed=0"], sent.stderr
    with connect_mongodb(settings) as client, (home / "job.txt").open("wb") as output:
        ledger = Ledger(confirmed_database(client, settings), "tickets")
        job = subprocess.Popen(
            JOB.split(),
            cwd=PROJECT_ROOT,
            env=environment(secured),
            stdout=output,
            stderr=output,
        )
        try:
            wait_for(lambda: ledger.totals().read == 60 or job.poll() is not None, 240, "batch")
            assert job.poll() is None, (home / "job.txt").read_text()[-3000:]
            running = running_job(TICKETS, settings)
            assert running is not None
            seen = command_lines(job.pid) | spark_ui(running["ui"]) | java_environments(job.pid)
            job.send_signal(signal.SIGTERM)
            assert job.wait(60) == 0
        finally:
            if job.poll() is None:
                job.kill()
                job.wait()
        totals = ledger.totals()
        read_too = run(secured, VERIFY, KAFKA_SASL_MECHANISM="PLAIN", **PLAIN)

    assert read_too.returncode == 0, read_too.stdout + read_too.stderr
    assert "verified: nothing lost, nothing doubled" in read_too.stdout
    assert totals == Counts(
        read=60,
        stored=60 - totals.dead_lettered,
        dead_lettered=totals.dead_lettered,
        reasons=totals.reasons,
    )
    assert totals.dead_lettered > 0
    for done in (sent, read_too):
        seen |= {"output": (done.stdout + done.stderr).lower().encode()}
    seen |= {"job": (home / "job.txt").read_bytes().lower()} | logs_and_state(home)
    assert leaks(SECRETS, seen) == []
    # The search looks where it should.
    assert leaks([USER], seen) != []
    assert any("spark" in name for name in seen)


def logs_and_state(home: Path) -> Places:
    """What jobs leave behind, but for the data and configuration of the servers themselves."""
    return {
        str(path.relative_to(home)): path.read_bytes().lower()
        for folder in ("logs", "checkpoints", "run", "tls", "spark")
        for path in (home / folder).rglob("*")
        if path.is_file() and path.suffix != ".jar"
    }


def test_shells_open_on_the_secured_servers(
    secured: Secured, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = secured.settings()

    assert run_cqlsh(settings, "SELECT count(*) FROM support.tickets") == 0
    assert run_mongosh(settings, "db.getName() + ' with TLS'") == 0

    printed = capfd.readouterr().out
    assert "(1 rows)" in printed
    assert "millrace with TLS" in printed
    assert list((settings.millrace_home / "tools" / "cqlsh").glob("credentials-*")) == []
