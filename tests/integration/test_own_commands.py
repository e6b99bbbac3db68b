"""Commands on users' pipelines: what they show, mask and check."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from operations.dead_letters.dead_letters import run_dead_letters
from operations.doctor.broker_checks import look_at_kafka
from operations.doctor.check import Status, run_checks
from operations.doctor.doctor import checks_for
from operations.doctor.store_checks import look_at_cassandra, look_at_mongodb, look_at_postgres
from operations.logs import log_path
from operations.options import build_parser
from operations.prepare import prepare_stores
from operations.repair.compact import compact_pipeline
from operations.show import RowFilter, show
from operations.status import show_status
from operations.submit.submission import submission
from settings import Settings
from tests.support.own_checks import (
    EXAMPLES,
    ORDERS,
    SENSORS,
    Own,
    assert_stored,
    faults_of,
    own_world,
)
from tests.support.pipelines import MakeWorld
from tests.support.world import World

Filled = Callable[[Own], World]
both = pytest.mark.parametrize("own", EXAMPLES, ids=lambda own: own.name)


@pytest.fixture(scope="module")
def filled(shared_worlds: MakeWorld) -> Filled:
    """A world of each pipeline, with its messages in two batches; not to be changed."""

    @cache
    def made(own: str) -> World:
        chosen = next(each for each in EXAMPLES if each.name == own)
        world = own_world(shared_worlds, chosen)
        first, *others = chosen.messages()
        for messages in ([first], others):
            world.send(*messages, partition=0)
            world.process()
        return world

    return lambda own: made(own.name)


def shown(
    world: World, capsys: pytest.CaptureFixture[str], what: str, limit: int = 20, **where: str
) -> list[dict[str, object]]:
    capsys.readouterr()
    assert show(world.settings, what, RowFilter(where, limit), "json", ["all"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_place_of_orders_is_shown(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    world = filled(ORDERS)
    show(world.settings, "", RowFilter({}, 20), "table")
    places = {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]}
    large = world.pipeline.topics[0].name
    assert places == {
        world.topic,
        f"{world.topic}-dead-letter",
        large,
        "dead-letters",
        f"{world.keyspace}.orders",
        f"{world.keyspace}.orders_by_status",
        "postgres.orders",
        "files.orders",
        "mongodb.orders_by_currency",
        "mongodb.orders_by_country",
        "mongodb.batches",
        "mongodb.dead_letters",
    }

    by_id = shown(world, capsys, f"{world.keyspace}.orders", order_id="A")
    assert [(row["amount"], row["items"]) for row in by_id] == [("100.10", ["lamp"])]
    partition = {"status": "paid", "created_day": "2026-11-22"}
    by_status = shown(world, capsys, "orders_by_status", **partition)
    assert {row["order_id"] for row in by_status} == {"A", "D"}
    by_country = shown(world, capsys, "postgres.orders", country="GB")
    assert [row["order_id"] for row in by_country] == ["B"]
    assert len(shown(world, capsys, "files.orders")) == 4
    (pounds,) = shown(world, capsys, "orders_by_currency", currency="GBP")
    assert (pounds["_id"], pounds["revenue"]) == ("2026-11-22|GBP", "20000.00")
    (forwarded,) = shown(world, capsys, large)
    assert "example.com" not in str(forwarded)
    first = shown(world, capsys, world.topic)
    assert len(first) == 8
    assert "example.com" not in str(first)
    assert '"order_id": "A"' in str(first)


def test_readings_are_shown_by_partition_and_by_number(
    filled: Filled, capsys: pytest.CaptureFixture[str]
) -> None:
    world = filled(SENSORS)

    of_day = {"sensor_id": "roof-1", "reading_day": "2026-11-22"}
    rows = shown(world, capsys, f"{world.keyspace}.readings", **of_day)
    assert [row["temperature"] for row in rows] == [12.25, 11.5]
    cold = shown(world, capsys, "postgres.readings", temperature="-4.125")
    assert [row["sensor_id"] for row in cold] == ["yard-1"]
    at = shown(world, capsys, "postgres.readings", at="2026-11-22T10:16:00Z")
    assert [row["battery"] for row in at] == [97]
    hour = shown(world, capsys, "readings_by_hour", hour="2026-11-22T11")
    assert [row["_id"] for row in hour] == ["yard-1|2026-11-22T11"]


@both
def test_dead_letters_are_listed_and_masked_by_the_contract(
    filled: Filled, capsys: pytest.CaptureFixture[str], own: Own
) -> None:
    world = filled(own)
    capsys.readouterr()

    def run(*words: str) -> list[dict[str, object]]:
        options = build_parser().parse_args(["dead-letters", *words, "--format", "json"])
        assert run_dead_letters(world.settings, options) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    listed = run("list")
    assert {str(line["reasons"]) for line in listed} == {*own.counts.reasons}
    assert {line["state"] for line in listed} == {"waiting"}
    reason = "invalid_amount" if own is ORDERS else "invalid_temperature"
    (masked,) = run("show", "--reason", reason)
    value = json.loads(str(masked["value (masked)"]))
    if own is ORDERS:
        assert value["customer"] == {"id": "c1", "email": "•••", "country": "ES"}
        assert (value["order_id"], value["amount"]) == ("E", "1.234")
    else:
        assert (value["sensor_id"], value["temperature"]) == ("oven-1", 200.5)


@both
def test_status_has_offsets_and_rows_of_every_place(
    filled: Filled,
    capsys: pytest.CaptureFixture[str],
    stack_settings: Settings,
    own: Own,
) -> None:
    world = filled(own)
    capsys.readouterr()

    # The services are those of the tests' stack.
    show_status(world.settings.model_copy(update={"millrace_home": stack_settings.millrace_home}))

    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    expected = [["Cassandra", table.place, "4"] for table in world.pipeline.tables]
    expected += [["PostgreSQL", each.name, "4"] for each in world.pipeline.sql_tables]
    expected.append(["files", f"{world.pipeline.file_sets[0].name} (parquet)", "4"])
    for name, found in own.documents.items():
        expected.append(["MongoDB", f"{world.database.name}.{name}", str(len(found))])
    letters = str(own.counts.dead_lettered)
    expected.append(["dead letters", f"{world.topic}-dead-letter", letters])
    assert [row for row in expected if row not in cells] == []
    assert [world.topic, "0", "0", "8", "8", "0"] in cells
    assert [own.name, "not running", "", ""] in cells


@both
def test_small_files_are_merged_and_every_row_stays(filled: Filled, own: Own) -> None:
    world = filled(own)
    files = Path(world.settings.output_path)
    before = [*files.rglob("*.parquet")]

    compact_pipeline(world.spark, world.settings, world.database, world.pipeline)

    assert len([*files.rglob("*.parquet")]) < len(before)
    assert_stored(world, own)
    assert faults_of(world) == []


@both
def test_doctor_checks_topics_and_tables_of_a_users_pipeline(
    make_world: MakeWorld, own: Own
) -> None:
    world = own_world(make_world, own)
    # The services are those of the tests' stack, in other folders.
    settings = world.settings.model_copy(update={"stack": "external"})
    prepare_stores(settings, lambda text: None)
    looks = {look_at_kafka, look_at_cassandra, look_at_mongodb, look_at_postgres}
    checks = [check for check in checks_for(settings) if check.look in looks]

    lines = {line.name: line for line in run_checks(checks, settings)}
    assert {name: str(line) for name, line in lines.items() if line.status is not Status.OK} == {}

    table = world.pipeline.tables[1].place
    world.session.execute(f"DROP TABLE {table}")
    lines = {line.name: line for line in run_checks(checks, settings)}
    assert lines["tables"].status is Status.FIX
    assert table in lines["tables"].text


@both
def test_submission_names_the_pipeline_and_logs_are_found_by_its_name(
    filled: Filled, own: Own
) -> None:
    world = filled(own)

    words = submission(world.settings, world.pipeline, ["--available-now"], []).words

    *_, file, name, option = words
    assert (Path(file).name, name, option) == ("job.py", own.name, "--available-now")
    assert f"millrace-{own.name}" in words
    logs = world.settings.millrace_home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "jobs.log").write_text("a line")
    assert log_path(world.settings, own.name) == logs / "jobs.log"
