"""Commands that messages offer, pasted: each with the real Makefile and the real parsers."""

from __future__ import annotations

import argparse
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable

import pytest

from operations.options import build_parser
from producers import customers
from runtime import remedies
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.run.command import _parser as job_parser
from tests.support.remedies import Offered, make_targets, offered, words_given_by_make

OFFERED = list(offered())
COMMANDS = [each for each in OFFERED if not each.text.startswith("--")]
# Of spark-submit.
OPTIONS_OF_OTHERS = {"--ulimit", "--driver-memory"}
# Settings that no command finds by itself.
OTHERWISE = {
    "SINKS": "cassandra,mongodb,files,postgres",
    "OUTPUT_PATH": "s3a://bucket/a folder",
    "TICKETS_TOPIC": "other-tickets",
}


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_ENV_FILE", os.devnull)


def without_settings(command: str) -> str:
    return re.sub(r"^(?:[A-Z_]+=(?:'[^']*'|\S*) )+", "", command)


def parse(command: str) -> None:
    """Take a command apart as it would be when it is pasted; fails where it is not understood."""
    for part in command.split(" && "):
        bare = without_settings(part)
        if bare.startswith("make "):
            target = shlex.split(bare)[1]
            assert target in make_targets(), bare
            if target in {"lock", "setup", "setup-dev"}:
                continue
            build_parser().parse_args(words_given_by_make(part))
            continue
        program, *words = shlex.split(bare)
        if program == remedies.MILLRACE:
            if "--help" not in words:
                build_parser().parse_args(words)
        else:
            assert program == remedies.PYTHON, bare
            assert words[0] == "-m"
            parser_of(words[1]).parse_args(words[2:])


def parser_of(module: str) -> argparse.ArgumentParser:
    package, name = module.split(".")
    if package == "producers":
        assert name == "customers"
        return customers.parser_for(load_settings())
    assert package == "spark_jobs"
    return job_parser(name)


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: f"{each.where} {each.text}")
def test_command_in_a_message_is_understood_as_it_stands(each: Offered) -> None:
    if each.text in {"millrace", "make"}:  # the package's name; every command of it
        return
    if "…" in each.text:
        assert each.text.startswith("PYTHON=/path/to/")
        return
    assert "{" not in each.text, "give SAMPLES a value for what is put in"
    parse(each.text)


def test_messages_of_all_packages_were_checked() -> None:
    folders = {each.where.partition("/")[0] for each in OFFERED}

    assert {"cql", "local_stack", "operations", "producers", "spark_jobs", "sql"} <= folders
    assert len(COMMANDS) > 60


def known_options() -> set[str]:
    """What the parsers of `millrace`, the jobs and the producers take."""
    sources = (
        *(PROJECT_ROOT / "producers").glob("*.py"),
        PROJECT_ROOT / "operations" / "options.py",
        *(
            PROJECT_ROOT / "spark_jobs" / f"{name}.py"
            for name in ("state/acceptance", "run/job_options")
        ),
    )
    return {option for path in sources for option in re.findall(r'"(--[a-z-]+)"', path.read_text())}


def test_every_option_in_a_message_is_one_of_a_command() -> None:
    named = {each.text.split()[0] for each in OFFERED if each.text.startswith("--")}

    assert named
    assert named - known_options() - OPTIONS_OF_OTHERS == set()


# Every function of remedies.py, as messages call it.
Build = Callable[[Settings], str | None]
BUILT: dict[str, Build] = {
    "replay": lambda s: remedies.replay("client_tickets", "postgres", s),
    "rebuild": remedies.rebuild,
    "reset": lambda s: remedies.reset("tickets", s),
    "up": lambda s: remedies.up(s, "postgres"),
    "verify": remedies.verify,
    "show": lambda s: remedies.show("postgres.tickets", s),
    "job": lambda s: remedies.job("customers", s, "--sinks", "files"),
    "run": lambda s: remedies.run("--accept-clock"),
    "cqlsh": lambda s: remedies.cqlsh("ALTER TABLE support.tickets ADD (priority text)", s),
    "table_again": lambda s: remedies.table_again("support.tickets_by_team", "client_tickets", s),
    "mongosh": lambda s: remedies.mongosh("db.confirmations.deleteOne({_id: 'tickets'})", s),
    "again": lambda s: remedies.again("--accept-loss", s),
    "resumed": lambda _: remedies.resumed({"--tickets": 7}),
    "rest_of_file": lambda s: remedies.rest_of_file(
        "producers.customers", "s3://bucket/customers.csv", 9, "customers-raw", s
    ),
    "with_sinks": lambda s: remedies.with_sinks(s, ("cassandra", "mongodb")),
}
NO_COMMANDS = {"exported", "nearest", "load_settings"}


def test_every_function_that_builds_a_command_is_tried_here() -> None:
    functions = {
        name
        for name, each in inspect.getmembers(remedies, inspect.isfunction)
        if not name.startswith("_")
    }

    assert functions - NO_COMMANDS == set(BUILT)


@pytest.mark.parametrize("given", [{}, OTHERWISE], ids=["usual settings", "other settings"])
@pytest.mark.parametrize("name", list(BUILT))
def test_built_command_is_understood_and_finds_the_settings_that_it_was_built_for(
    name: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/a/.venv/bin/millrace", "run", "--tickets", "5"])
    for variable, text in given.items():
        monkeypatch.setenv(variable, text)
    settings = load_settings()

    command = BUILT[name](settings)

    assert command is not None
    parse(command)
    for variable in given:
        monkeypatch.delenv(variable)
    for part in command.split(" && "):
        before = shlex.split(part[: len(part) - len(without_settings(part))])
        assert [word.split("=")[0] for word in before if "=" in word]
        with monkeypatch.context() as pasted:
            for word in before:
                pasted.setenv(*word.split("=", 1))
            found = load_settings()
        changed = {"sinks"} if name == "with_sinks" else set()
        for field in {*remedies.DECISIVE} - changed:
            assert getattr(found, field) == getattr(settings, field), field
        if changed:
            assert found.sinks == ("cassandra", "mongodb")


def test_defaults_are_not_repeated_before_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_ENV_FILE")

    assert remedies.reset("tickets", Settings(_env_file=None)) == "make reset PIPELINE=tickets"
    assert remedies.exported(Settings(_env_file=None)) is None


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (
            ["/a/.venv/bin/millrace", "run", "--tickets", "5"],
            ["python3", "/a/.venv/bin/millrace", "run", "--tickets", "5"],
            ".venv/bin/millrace run --tickets 5 --accept-loss",
        ),
        (
            ["/a/operations/cli.py", "run", "--tickets", "5"],
            ["python3", "-m", "operations.cli", "run", "--tickets", "5"],
            ".venv/bin/millrace run --tickets 5 --accept-loss",
        ),
        (
            ["/a/spark_jobs/tickets.py", "--available-now"],
            ["python3", "-m", "spark_jobs.tickets", "--available-now"],
            ".venv/bin/python -m spark_jobs.tickets --available-now --accept-loss",
        ),
        (["/a/spark_jobs/tickets.py"], ["python3", "/a/spark_jobs/tickets.py"], "--accept-loss"),
        (["/a/.venv/bin/pytest"], ["python3", "-m", "pytest"], "--accept-loss"),
    ],
    ids=["millrace", "make", "a job", "under spark-submit", "something else"],
)
def test_current_command_is_repeated_with_one_more_option(
    argv: list[str], orig_argv: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MILLRACE_ENV_FILE")
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig_argv)

    assert remedies.again("--accept-loss") == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("send orders a.jsonl", "send orders a.jsonl --from-record 7 --seed 5"),
        ("send --rate 9 -- orders -", "send --rate 9 --from-record 7 --seed 5 -- orders -"),
        (
            "generate orders --seed=1 --count 9 --from-record 3",
            "generate orders --count 9 --from-record 7 --seed 5",
        ),
    ],
)
def test_options_take_the_place_of_those_of_the_running_command(
    words: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MILLRACE_ENV_FILE")
    monkeypatch.setattr(sys, "argv", ["/a/.venv/bin/millrace", *words.split()])

    resumed = remedies.resumed({"--from-record": 7, "--seed": 5})
    assert resumed == f".venv/bin/millrace {expected}"


def test_sinks_of_an_option_are_changed_by_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["millrace", "submit", "tickets", "--sinks", "mongodb"])
    settings = Settings(_env_file=None, sinks="mongodb")

    command = remedies.with_sinks(settings, ("mongodb", "files"))

    assert command is not None
    words = shlex.split(without_settings(command))
    assert build_parser().parse_args(words[1:]).sinks == "mongodb,files"


def test_no_command_shows_a_secret() -> None:
    settings = Settings(_env_file=None, mongo_uri="mongodb://me:hush@h", sinks="postgres")

    for build in BUILT.values():
        assert "hush" not in str(build(settings))


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("client_ticket", " Did you mean `client_tickets`?"),
        ("CLIENT_TICKETS", " Did you mean `client_tickets`?"),
        ("profiles", " Did you mean `users_profiles`?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_similar_name_is_suggested(name: str, question: str) -> None:
    assert remedies.nearest(name, ["client_tickets", "users_profiles"]) == question
