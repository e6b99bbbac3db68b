"""Tables of the platform that a setting divides into shards."""

from __future__ import annotations

import zlib
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from cql import client
from cql.declared import CQL_FOLDER, CassandraShape, declared, shapes_of
from cql.division import noted_shards, setting_of, shards_of
from cql.shards import page_of_shards, select_divided
from cql.statements import split_statements
from cql.tables import Difference, differences
from operations.show import places_of
from operations.trace.lookup import tables_of
from runtime import remedies
from settings import Settings, load_settings
from spark_jobs.changes import BatchSummary, Change
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.registry import built_in, pipeline_named, pipelines_of
from spark_jobs.run import command
from spark_jobs.sinks.cassandra import BY_PARTITION, WRITE_OPTIONS, CassandraSink, connector_options
from spark_jobs.start_checks.declaration_shape import shape_of
from spark_jobs.tickets import TICKETS
from tests.unit.test_shard_reading import ShardedStore

PLACE = "support.tickets_by_team"
KEY = "((assigned_team, created_hour), created_at DESC, ticket_id ASC)"
DIVIDED_KEY = "((assigned_team, created_hour, shard), created_at DESC, ticket_id ASC)"
NOTE = "Tickets of a team in a UTC hour, newest first; TICKETS_BY_TEAM_SHARDS=8"


def settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **changes)


EIGHT = settings(tickets_by_team_shards=8)


def by_team(pipeline: Pipeline) -> Any:
    return next(table for table in pipeline.tables if table.place == PLACE)


def created_by_up(chosen: Settings) -> dict[str, str]:
    """The statements that `make up` sends, by table."""
    sent: list[str] = []
    session: Any = SimpleNamespace(
        cluster=SimpleNamespace(metadata=SimpleNamespace(keyspaces={})),
        execute=lambda statement, timeout: sent.append(statement),
    )
    client.apply_tables(session, chosen)
    return {name: text for text in sent for name in shapes_of(text + ";", "")}


def test_every_such_setting_divides_a_table_of_the_platform() -> None:
    names = {place.rpartition(".")[2] for place in declared()}
    settings_of_shards = {n.upper() for n in Settings.model_fields if n.endswith("_shards")}

    assert settings_of_shards == {setting_of(name) for name in names} - {None}
    assert settings_of_shards == {"TICKETS_BY_TEAM_SHARDS"}
    assert shards_of(EIGHT, "tickets") == 1


def test_by_itself_the_table_is_as_its_file_says() -> None:
    files = [path.read_text() for path in sorted(CQL_FOLDER.glob("[0-9]*.cql"))]
    tables = {n: s for f in files for s in split_statements(f) for n in shapes_of(s + ";", "")}

    assert created_by_up(settings()) == tables
    assert built_in(settings()) == built_in()
    assert by_team(TICKETS).declared.key_text == KEY
    assert "shard" not in TICKETS.column_types


def test_number_in_the_settings_divides_the_table_that_up_creates_and_jobs_declare() -> None:
    created = created_by_up(EIGHT)
    [found] = shapes_of(created[PLACE] + ";", "").values()

    wanted = by_team(pipeline_named("tickets", EIGHT)).declared
    assert found.key_text == wanted.key_text == DIVIDED_KEY
    assert found.columns == wanted.columns
    assert found.columns["shard"] == "int"
    assert f"comment = '{NOTE}'" in created[PLACE]
    assert noted_shards("tickets_by_team", NOTE) == wanted.shards == 8
    # A comment of somebody else's table.
    assert noted_shards("readings", "of a test; READINGS_SHARDS=8") == 1
    # No other statement changes.
    assert {**created, PLACE: ""} == {**created_by_up(settings()), PLACE: ""}


def test_shard_is_derived_from_the_id_and_is_in_that_table_alone() -> None:
    tickets = pipelines_of(EIGHT)[0]

    assert tickets.derived == {"shard": "cast(pmod(crc32(ticket_id), 8) AS int)"}
    assert tickets.column_types["shard"] == "int"
    assert [table.shards for table in tickets.tables] == [1, 8]
    assert "shard" not in tickets.tables[0].declared.columns
    assert [each.schema.names for each in tickets.file_sets] == [
        each.schema.names for each in TICKETS.file_sets
    ]
    # This one has a shard in its file, and derives it in a way of its own.
    assert PROFILES.divided(EIGHT) is PROFILES
    assert PROFILES.derived == {}
    assert tickets.divided(EIGHT) is tickets


def test_job_of_one_pipeline_runs_with_the_shards_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run: list[Pipeline] = []

    def started(parts: list[Pipeline], *_: Any) -> int:
        run.extend(parts)
        return 0

    monkeypatch.setattr(command, "settings_of", lambda options: EIGHT)
    monkeypatch.setattr(command, "start_logging", lambda settings: None)
    monkeypatch.setattr(command, "_run", started)

    assert command.main([TICKETS], ["--available-now"]) == 0

    assert [by_team(each).shards for each in run] == [8]


def test_reading_a_key_asks_all_shards_and_hides_them() -> None:
    assert places_of(EIGHT)[PLACE].what == "rows in Cassandra; TEAM= HOUR="

    stores: Any = SimpleNamespace(session=None)
    table = tables_of(pipelines_of(EIGHT)[0], [CassandraSink], stores)[1]
    known = {"ticket_id": "T-1", "assigned_team": "Billing", "created_hour": "2026-11-22"}
    completed = table.completed(known, has_row=True)
    assert isinstance(completed, dict)
    assert completed["shard"] == zlib.crc32(b"T-1") % 8


def test_rows_are_found_whatever_number_the_settings_say_now() -> None:
    store: Any = ShardedStore()
    tables = store.cluster.metadata.keyspaces["k"].tables
    tables["t"].options = {"comment": "of a test; TICKETS_BY_TEAM_SHARDS=3"}
    tables["tickets_by_team"] = tables["t"]

    shown = select_divided(store, "k", "tickets_by_team", {"status": "paid"}, 9, 1)
    page = page_of_shards(store, "k", "tickets_by_team", {"status": "paid"}, 9, 2)

    assert len(shown) == len(page.rows) == 6


def test_connector_groups_by_partition_while_a_batch_has_few_of_them() -> None:
    # One day: 24 hours for each of four teams, 96 partitions; 576 in six shards are too many.
    day = Change("ticket_metrics", "2026-11-22", {}, {}, TICKETS.aggregates[3])
    summary = BatchSummary(Counter({"valid": 100_000}), Counter(), [day])

    assert connector_options(by_team(TICKETS), summary) == WRITE_OPTIONS | BY_PARTITION
    five, six = (by_team(TICKETS.divided(settings(tickets_by_team_shards=n))) for n in (5, 6))
    assert connector_options(five, summary) == WRITE_OPTIONS | BY_PARTITION
    assert connector_options(six, summary) == WRITE_OPTIONS


@pytest.mark.parametrize(
    ("made_with", "now"), [(1, 8), (8, 1), (8, 16)], ids=["whole", "divided", "another number"]
)
def test_table_made_with_another_number_is_named_with_both_ways_out(
    made_with: int, now: int
) -> None:
    chosen = settings(tickets_by_team_shards=now)
    made = TICKETS.divided(settings(tickets_by_team_shards=made_with))

    [found] = _differences(made, chosen)

    again = remedies.table_again(PLACE, "client_tickets")
    assert found == Difference(
        f"{PLACE} was made with TICKETS_BY_TEAM_SHARDS={made_with}, which now is {now}, and its"
        f" rows are divided by that: set TICKETS_BY_TEAM_SHARDS={made_with} again, or `{again}`"
        " makes it again from the topic's messages"
    )


def test_table_made_with_the_same_number_is_as_declared() -> None:
    assert _differences(TICKETS.divided(EIGHT), EIGHT) == []
    assert _differences(TICKETS, settings()) == []


def _differences(made: Pipeline, chosen: Settings) -> list[Difference]:
    def shapes(pipeline: Pipeline) -> dict[str, CassandraShape]:
        return {table.place: table.declared for table in pipeline.tables}

    return [*differences(shapes(TICKETS.divided(chosen)), shapes(made), "tickets")]


def test_remedy_makes_the_table_again_with_the_number_of_the_settings() -> None:
    chosen = load_settings().model_copy(update={"tickets_by_team_shards": 8})

    assert remedies.table_again(PLACE, "client_tickets", chosen) == (
        f'TICKETS_BY_TEAM_SHARDS=8 make cqlsh CQL="DROP TABLE {PLACE}"'
        " && TICKETS_BY_TEAM_SHARDS=8 make up && TICKETS_BY_TEAM_SHARDS=8 .venv/bin/millrace replay"
        " --topic client_tickets --sink cassandra"
    )


def test_job_goes_on_once_the_table_was_made_again() -> None:
    # What a checkpoint keeps of a declaration: shards are compared with the table alone.
    assert shape_of(TICKETS.divided(EIGHT)) == shape_of(TICKETS)
