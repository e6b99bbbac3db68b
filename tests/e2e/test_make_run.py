"""The commands of the README, as a newcomer types them, on the running test stack."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operations.pipelines import topic_offsets
from settings import PROJECT_ROOT, Settings
from tests.support.make import (
    FINISH,
    NOT_PASTED,
    PUBLIC_OF_PROFILES,
    PUBLIC_OF_TICKETS,
    clear_fields,
    commands_of,
    lags,
    make,
    make_ok,
    pasted,
    tickets_read,
)
from tests.support.rights import open_to_others

TICKETS, PROFILES, CUSTOMERS, SEED = 300, 150, 80, 20261122
AMOUNTS = (f"TICKETS={TICKETS}", f"PROFILES={PROFILES}", f"CUSTOMERS={CUSTOMERS}", f"SEED={SEED}")


@pytest.fixture(scope="module")
def first_run(stack_settings: Settings) -> str:
    return make_ok("run", *AMOUNTS)


@pytest.fixture(scope="module")
def first_verify(first_run: str) -> str:
    return make_ok("verify")


def columns_of(output: str, first_cell: str) -> list[str]:
    """The cells of a row by its first cell, in the first table that has one."""
    line = next(
        line for line in output.splitlines() if re.match(rf"│ {re.escape(first_cell)} +│", line)
    )
    return [cell.strip() for cell in line.strip("│").split("│")]


def store_count(output: str, place: str) -> int:
    (line,) = [line for line in output.splitlines() if f"│ {place} " in line]
    return int(line.strip("│").split("│")[2])


def test_run_ends_with_a_summary_in_which_every_message_has_an_outcome(first_run: str) -> None:
    # Rows with too many fields are reported by the producer, and not sent.
    of_customers = int(columns_of(first_run, "customers")[1])
    assert 0.8 * CUSTOMERS < of_customers <= CUSTOMERS
    skipped = CUSTOMERS - of_customers
    assert f"{CUSTOMERS} read, {of_customers} sent, {skipped} skipped" in first_run
    assert f"Everything is accounted for: {450 + of_customers} messages." in first_run
    for pipeline, sent in (("tickets", TICKETS), ("profiles", PROFILES)):
        _, read, stored, dead, filtered, duplicates, verdict = columns_of(first_run, pipeline)
        assert int(read) == sent
        assert int(stored) + int(dead) + int(filtered) + int(duplicates) == sent
        assert int(dead) > 0
        assert int(duplicates) > 0
        assert verdict == "verified"
    assert int(columns_of(first_run, "profiles")[4]) > 0
    assert "profile source: offline" in first_run
    assert re.search(r"^\[ *[\d.]+ s\] doctor: \d+ checks ok", first_run, re.MULTILINE)


def test_what_a_run_writes_is_for_its_user_alone(first_run: str, settings: Settings) -> None:
    for made in (settings.output_path, settings.checkpoints):
        assert open_to_others(Path(made)) == []


def test_counts_agree_with_cqlsh_and_mongosh(first_verify: str) -> None:
    places = ("support.tickets", "usersprofilespace.users_profiles")
    counts = "; ".join(f"SELECT COUNT(*) FROM {place}" for place in places)
    by_cqlsh = make_ok("cqlsh", f"CQL={counts}")
    assert [int(line) for line in by_cqlsh.splitlines() if line.strip().isdigit()] == [
        store_count(first_verify, place) for place in places
    ]
    total = "db.tickets_by_team.aggregate([{$group: {_id: null, n: {$sum: '$count'}}}]).next().n"
    documents = "db.profiles_by_age_band.countDocuments()"
    assert make_ok("mongosh", f"EVAL=`${{{total}}} ${{{documents}}}`").split() == [
        str(store_count(first_verify, "support.tickets")),
        str(store_count(first_verify, "millrace.profiles_by_age_band")),
    ]


def test_second_run_with_the_same_seed_stores_nothing_twice(first_run: str) -> None:
    output = make_ok("run", *AMOUNTS)

    assert "already up at" in output
    for pipeline, sent in (("tickets", TICKETS), ("profiles", PROFILES)):
        before, after = columns_of(first_run, pipeline), columns_of(output, pipeline)
        assert int(after[1]) == 2 * sent
        assert after[2] == before[2]


def test_run_over_a_checkpoint_of_other_code_sends_nothing(
    first_run: str, settings: Settings
) -> None:
    (note,) = Path(settings.checkpoints, "tickets").rglob("millrace-code.json")
    before = note.read_text()
    on_topic = topic_offsets(settings, "client_tickets")
    note.write_text(json.dumps(json.loads(before) | {"spark": "3.4", "sources": "other"}))
    try:
        done = make("run", *AMOUNTS)
    finally:
        note.write_text(before)

    assert done.returncode != 0
    assert "was written by different code" in done.stderr
    assert "The services are up; nothing was sent." in done.stderr
    assert topic_offsets(settings, "client_tickets") == on_topic


def test_status_names_services_lag_and_rows(first_verify: str, settings: Settings) -> None:
    output = make_ok("status")

    for service in ("kafka", "cassandra", "mongodb"):
        assert columns_of(output, service)[1] == "up"
    assert str(settings.cassandra_port) in output
    assert lags(output, "client_tickets") == lags(output, "users_profiles") == [0, 0, 0]
    for place in (
        *("support.tickets_by_team", "millrace.profiles_by_age_band"),
        *("tickets_with_assignment (parquet)", "customers-usa"),
    ):
        assert store_count(output, place) == store_count(first_verify, place)
    assert store_count(output, "client_tickets-dead-letter") > 0
    assert columns_of(output, "profiles")[1] == "not running"


def test_cassandra_warns_of_no_batch(first_run: str, settings: Settings) -> None:
    log = (settings.millrace_home / "logs" / "cassandra.log").read_text(errors="replace")

    assert "Starting listening for CQL clients" in log
    assert "exceeding specified threshold" not in log


def test_doctor_is_content_with_what_run_has_left(first_run: str) -> None:
    *lines, verdict = make_ok("doctor").splitlines()

    assert verdict == f"doctor: {len(lines)} checks ok"
    assert {line[:5] for line in lines} == {"ok   "}


def test_verify_proves_the_numbers_and_names_a_difference(
    first_verify: str, settings: Settings
) -> None:
    from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb

    assert "verified: nothing lost, nothing doubled" in first_verify
    with connect_mongodb(settings) as client:
        documents = confirmed_database(client, settings)["profiles_by_gender"]
        documents.update_one({"_id": "female"}, {"$inc": {"count": 2}})
        try:
            done = make("verify")
        finally:
            documents.update_one({"_id": "female"}, {"$inc": {"count": -2}})
    assert done.returncode != 0
    assert "MongoDB millrace.profiles_by_gender: the sum of `count` is" in done.stdout
    assert "(+2)" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("WHAT=client_tickets",),
        ("WHAT=users_profiles-dead-letter",),
        ("WHAT=dead-letters",),
        ("WHAT=support.tickets", "LIMIT=3"),
        ("WHAT=files.tickets_with_assignment", "LIMIT=3"),
        ("WHAT=customers-usa",),
        ("WHAT=mongodb.ticket_metrics",),
        ("WHAT=mongodb.batches",),
        ("WHAT=profiles_by_nationality", "NATIONALITY=FR"),
    ],
    ids=lambda words: words[0],
)
def test_show_prints_rows(first_run: str, words: tuple[str, ...]) -> None:
    output = make_ok("show", *words, "FORMAT=json")

    records = [json.loads(line) for line in output.splitlines()]
    assert records
    assert all(isinstance(record, dict) for record in records)


def test_show_reads_a_partition_and_a_client(first_run: str) -> None:
    one = json.loads(
        make_ok("show", "WHAT=support.tickets_by_team", "LIMIT=1", "FORMAT=json").splitlines()[0]
    )
    partition = (f"TEAM={one['assigned_team']}", f"HOUR={one['created_hour']}")

    in_partition = [
        json.loads(line)
        for line in make_ok(
            "show", "WHAT=support.tickets_by_team", *partition, "LIMIT=1000", "FORMAT=json"
        ).splitlines()
    ]
    of_client = [
        json.loads(line)
        for line in make_ok(
            "show", "WHAT=support.tickets", f"CLIENT={one['client_id']}", "FORMAT=json"
        ).splitlines()
    ]

    assert one["ticket_id"] in {row["ticket_id"] for row in in_partition}
    assert {row["assigned_team"] for row in in_partition} == {one["assigned_team"]}
    assert {row["created_hour"] for row in in_partition} == {one["created_hour"]}
    assert one["ticket_id"] in {row["ticket_id"] for row in of_client}
    assert {row["client_id"] for row in of_client} == {one["client_id"]}


@pytest.mark.parametrize("suffix", ["", "-dead-letter"], ids=["messages", "dead letters"])
@pytest.mark.parametrize(
    ("topic", "public", "sensitive"),
    [
        ("client_tickets", PUBLIC_OF_TICKETS, ("request", "demande")),
        ("users_profiles", PUBLIC_OF_PROFILES, ("email", "phone", "name", "location", "dob")),
    ],
    ids=["tickets", "profiles"],
)
def test_shown_messages_hold_nothing_sensitive(
    first_run: str, topic: str, suffix: str, public: set[str], sensitive: tuple[str, ...]
) -> None:
    output = make_ok("show", f"WHAT={topic}{suffix}", "LIMIT=1000", "FORMAT=json")

    values = [json.loads(line)["value (masked)"] for line in output.splitlines()]
    objects = [json.loads(value) for value in values if value.startswith("{")]
    not_shown = [value for value in values if not value.startswith("{")]
    assert objects
    assert {field for each in objects for field in clear_fields(each)} <= public
    assert all(any(name in each for name in sensitive) for each in objects if len(each) > 4)
    for value in not_shown:
        assert re.fullmatch(r"<no value>|<\d+ bytes that are not a JSON object: not shown>", value)


def test_show_without_a_name_lists_the_names(stack_settings: Settings) -> None:
    output = make_ok("show")

    assert "support.tickets_by_team" in output
    assert "mongodb.profile_metrics" in output


def test_commands_at_the_end_of_a_run_find_something(first_run: str) -> None:
    lines = first_run.split("\nLook at the data:\n")[1].splitlines()
    commands = [c for line in lines if (c := line.split("  # ")[0].strip()) and c[0] not in "#["]

    for store in ("support.", "mongodb.", "files.", "dead-letters"):
        assert sum(f"WHAT={store}" in command for command in commands) == 1
    for command in commands:
        if not command.startswith(("export ", *NOT_PASTED)):
            assert "nothing found" not in pasted(command), command


def test_commands_of_the_documents_find_something_after_any_run(first_run: str) -> None:
    looks = commands_of("docs/operations.md", "Look inside")
    letters = commands_of("docs/operations.md", "Dead letters")
    commands = [c for c in looks if not c.startswith(NOT_PASTED)]
    commands += [c for c in letters if "redrive" not in c or "--dry-run" in c]

    assert len(commands) > 8
    for command in commands:
        assert "nothing found" not in pasted(command), command


def test_reset_of_one_pipeline_reads_its_topic_again(first_run: str) -> None:
    verified = make_ok("verify")
    before = columns_of(verified, "users_profiles")
    tickets_before = columns_of(verified, "client_tickets")

    unclear = make("reset", "PIPELINE=profiles", "YES=0")
    assert unclear.returncode != 0
    assert "only 1 means yes. Nothing was changed." in unclear.stderr
    assert "deleted: checkpoint and stored data of profiles" in make_ok(
        "reset", "PIPELINE=profiles", "YES=1"
    )
    waiting = make("verify")
    assert waiting.returncode != 0
    sent = int(before[2])
    assert f"profiles: {sent} messages wait on the topic" in waiting.stdout
    assert sum(lags(make_ok("status"), "users_profiles")) == sent >= PROFILES
    done = subprocess.run(
        [sys.executable, "-m", "spark_jobs.profiles", "--available-now"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    after = make_ok("verify")
    assert columns_of(after, "users_profiles") == before
    assert columns_of(after, "client_tickets") == tickets_before


def test_stream_processes_what_comes_and_ends_on_ctrl_c(first_run: str, settings: Settings) -> None:
    before = tickets_read(settings)
    process = subprocess.Popen(
        ["make", "stream", f"PYTHON={sys.executable}"],
        cwd=PROJECT_ROOT,
        env=os.environ | {"PROFILES_SOURCE": "offline", "TICKETS_RATE": "40"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 150
        while tickets_read(settings) < before + 100:
            assert time.monotonic() < deadline, "the jobs read too little"
            assert process.poll() is None
            time.sleep(1)
        # Ctrl-C reaches every process of the terminal's foreground group.
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    assert "producers and jobs have ended" in output
    assert re.search(r"tickets: running, read [1-9][\d,]* \(.*/s\), lag \d", output)
    assert "Traceback" not in output
    done = subprocess.run(
        [sys.executable, "-c", FINISH],
        cwd=PROJECT_ROOT,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    make_ok("verify")


def test_spark_submit_runs_the_same_file(first_run: str) -> None:
    submit = str(PROJECT_ROOT / ".venv" / "bin" / "spark-submit")
    job = [str(PROJECT_ROOT / "spark_jobs" / "tickets.py"), "--available-now"]
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [submit, "--master", "local[2]", *options, *job],
            env=environment,
            # spark-submit hands its child's standard error over as standard output.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )

    without = run()
    assert without.returncode == 1
    hint = re.findall(r"Give them to spark-submit: --properties-file (\S+)", without.stdout)
    assert hint
    done = run("--properties-file", hint[0])
    assert done.returncode == 0, done.stdout[-3000:]
    assert "query=tickets ended" in done.stdout


def test_logs_follow_a_service(first_run: str) -> None:
    process = subprocess.Popen(
        ["make", "logs", "SERVICE=jobs", f"PYTHON={sys.executable}"],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        header = process.stdout.readline()
        path = Path(header.removeprefix("==> ").removesuffix(" (Ctrl-C ends)\n"))
        last_lines = path.read_text(errors="replace").splitlines(keepends=True)[-50:]
        followed = [process.stdout.readline() for _ in last_lines]
        with path.open("a") as log:
            log.write("a line that is added\n")
        added = process.stdout.readline()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)

    assert path.name == "jobs.log"
    assert last_lines
    assert followed == last_lines
    assert added == "a line that is added\n"
