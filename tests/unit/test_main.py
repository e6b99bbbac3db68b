"""How the commands of jobs and of `make verify` start their driver."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from operations import cli
from operations import spark_session as repair_session
from operations.verify import verify
from settings import ENV_FILE_VARIABLE, Settings
from spark_jobs.run import command as job
from spark_jobs.start_checks.guard import Diagnosis
from spark_jobs.tickets import TICKETS


class Started(Exception):
    """Ends a job where its driver would start."""


@pytest.mark.parametrize(
    ("unread", "options", "is_brief", "may_archive"),
    [
        ([20_000], ["--available-now"], True, True),
        ([15_000, 6_000], ["--available-now"], False, True),
        ([10, None], ["--available-now"], False, True),
        ([0, None], ["--available-now"], False, True),
        ([0, 0], ["--available-now"], True, False),
        ([10], [], False, False),
    ],
)
def test_driver_is_started_for_as_much_as_there_is_to_read(
    monkeypatch: pytest.MonkeyPatch,
    unread: list[int | None],
    options: list[str],
    is_brief: bool,
    may_archive: bool,
) -> None:
    seen: dict[str, Any] = {}

    def start(*_: Any, **wishes: Any) -> None:
        seen.update(wishes)
        raise Started

    found = {str(i): Diagnosis([], unread=number) for i, number in enumerate(unread)}
    monkeypatch.setattr(job, "check_pipelines", lambda *_: found)
    monkeypatch.setattr(job, "start_logging", lambda *_: None)
    monkeypatch.setattr(job, "explained", lambda *_: None)
    monkeypatch.setattr(job, "build_session", start)

    with pytest.raises(Started):
        job.main([TICKETS], options)

    assert seen["is_brief"] is is_brief
    assert seen["may_archive"] is may_archive
    # Web pages are for jobs that last.
    assert seen["has_ui"] is (options == [])


@pytest.mark.parametrize("is_little", [True, False])
def test_only_a_proof_of_few_messages_does_without_compiling_for_speed(
    monkeypatch: pytest.MonkeyPatch, is_little: bool
) -> None:
    seen: dict[str, Any] = {}

    def start(*_: Any, **wishes: Any) -> None:
        seen.update(wishes)
        raise Started

    monkeypatch.setattr(verify, "_look_at_stores", lambda *_: is_little)
    for name in ("ensure_jars", "find_java"):
        monkeypatch.setattr(repair_session, name, lambda *_: None)
    monkeypatch.setattr(repair_session, "build_session", start)

    with pytest.raises(Started):
        verify.verify(Settings(_env_file=None))

    assert seen["is_brief"] is is_little


def test_sink_that_is_down_is_a_finding_of_verify_and_not_its_end(tmp_path: Path) -> None:
    dsn = "postgresql://jane:secret@127.0.0.1:1/millrace"
    settings = Settings(
        _env_file=None,
        sinks=("postgres", "files"),
        postgres_dsn=dsn,
        output_path=str(tmp_path / "none yet"),
    )

    away = verify.stores_away(settings)

    assert [*away] == ["postgres"]
    assert "127.0.0.1:1" in away["postgres"]
    assert "secret" not in away["postgres"]


@pytest.mark.parametrize(
    ("words", "services"),
    [
        (["verify"], {"kafka", "mongodb"}),
        (["show", "client_tickets"], {"kafka"}),
        (["show", "client_tickets-dead-letter"], {"kafka"}),
        (["show", "support.tickets"], {"cassandra"}),
        (["show", "tickets_by_team"], {"cassandra"}),
        (["show", "ticket_metrics"], {"mongodb"}),
        (["show", "mongodb.batches"], {"mongodb"}),
        (["dead-letters", "list"], {"kafka"}),
        (["rebuild", "aggregates"], {"kafka", "cassandra", "mongodb"}),
        (["replay", "--topic", "client_tickets", "--sink", "postgres"], {"kafka", "mongodb"}),
        (["compact"], {"mongodb"}),
        (["cqlsh"], {"cassandra"}),
        (["mongosh"], {"mongodb"}),
        (["reset", "--yes"], {"kafka", "cassandra", "mongodb"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_command_names_the_services_that_are_down_before_it_does_anything(
    words: list[str],
    services: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(ENV_FILE_VARIABLE, os.devnull)

    code = cli.main(words)

    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    first, *lines = printed.err.splitlines()
    assert first == "Not up, so nothing was done:"
    assert {line.split(":")[0].removeprefix("  - ") for line in lines} >= services
    for service in services:
        (line,) = [line for line in lines if line.startswith(f"  - {service}: ")]
        assert "`make up` starts it" in line
    assert not (tmp_path / "home").exists()


def test_error_on_a_value_names_it_as_it_was_given_to_make(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in ("abc", "-5"):
        with pytest.raises(SystemExit):
            cli.main(["run", "--tickets", given])
        assert f"argument --tickets: expected a whole number, 0 or more, not `{given}`" in (
            capsys.readouterr().err
        )
        with monkeypatch.context() as made:
            made.setenv("ARG_TICKETS", given)
            with pytest.raises(SystemExit):
                cli.main(["run", "--tickets", given])
        assert (
            f"argument TICKETS= (--tickets): expected a whole number, 0 or more, not `{given}`"
            in (capsys.readouterr().err)
        )
