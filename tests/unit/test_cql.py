"""CQL files and the texts around them; the database itself is in tests/integration/test_cql.py."""

from __future__ import annotations

import re
import time

import pytest

from cql import client, declared, scan
from cql.declared import CQL_FOLDER, TABLE
from cql.statements import created_keyspace, split_statements, with_replication
from errors import SinkRejected, SinkUnavailable
from settings import load_settings
from tests.conftest import free_ports


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("-- only a comment\n;;\n", [], id="empty statements"),
        pytest.param("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"], id="two"),
        pytest.param("SELECT 1;\nSELECT 2", ["SELECT 1", "SELECT 2"], id="last one open"),
        pytest.param("SELECT ';' FROM a;", ["SELECT ';' FROM a"], id="semicolon in text"),
        pytest.param("SELECT 'it''s; so';", ["SELECT 'it''s; so'"], id="doubled quote"),
        pytest.param('SELECT "a;b" FROM c;', ['SELECT "a;b" FROM c'], id="quoted name"),
        pytest.param("SELECT '--no' ; x", ["SELECT '--no'", "x"], id="dashes in text"),
        pytest.param("a -- it's; one\nb;", ["a \n\nb"], id="quote and semicolon in comment"),
        pytest.param("a // b;\nc;", ["a \n\nc"], id="slashes"),
        pytest.param("a /* b;\n ' */ c;", ["a \n c"], id="block comment"),
        pytest.param("f AS $$ a;b $$; c", ["f AS $$ a;b $$", "c"], id="dollars"),
        pytest.param("a = 4 / 2 - 1;", ["a = 4 / 2 - 1"], id="operators"),
    ],
)
def test_script_is_split_where_statements_end(script: str, statements: list[str]) -> None:
    assert list(split_statements(script)) == statements


def test_files_hold_the_statements_of_both_keyspaces() -> None:
    beginnings = {
        path.name: [
            " ".join(statement.split()[:6])
            for statement in split_statements(path.read_text(encoding="utf-8"))
        ]
        for path in sorted(declared.CQL_FOLDER.glob("*.cql"))
    }

    assert beginnings == {
        "010_support.cql": [
            "CREATE KEYSPACE IF NOT EXISTS support",
            "CREATE TABLE IF NOT EXISTS support.tickets",
            "CREATE INDEX IF NOT EXISTS tickets_client_id",
            "CREATE TABLE IF NOT EXISTS support.tickets_by_team",
        ],
        "020_usersprofilespace.cql": [
            "CREATE KEYSPACE IF NOT EXISTS usersprofilespace",
            "CREATE TABLE IF NOT EXISTS usersprofilespace.users_profiles",
            "CREATE TABLE IF NOT EXISTS usersprofilespace.profiles_by_nationality",
        ],
    }


@pytest.mark.parametrize(
    ("factor", "replication"),
    [(1, "'replication_factor': 1"), (3, "'Paris': 3")],
    ids=["one copy, wherever", "copies in the data centre"],
)
def test_replication_is_replaced_in_keyspaces_only(factor: int, replication: str) -> None:
    keyspace = "CREATE KEYSPACE a WITH replication = {'class': 'X', 'replication_factor': 1}"
    table = "CREATE TABLE a.b (c int PRIMARY KEY)"

    assert with_replication(keyspace, factor, "Paris") == (
        f"CREATE KEYSPACE a WITH replication = {{'class': 'X', {replication}}}"
    )
    assert with_replication(table, factor, "Paris") == table


@pytest.mark.parametrize(
    ("statement", "keyspace"),
    [
        ("CREATE KEYSPACE IF NOT EXISTS support\n  WITH replication = {}", "support"),
        ("create  keyspace if not exists Support with x", "support"),
        ("CREATE TABLE IF NOT EXISTS support.tickets (a int)", None),
    ],
)
def test_keyspace_of_a_statement_is_known(statement: str, keyspace: str | None) -> None:
    assert created_keyspace(statement) == keyspace


def test_slices_cover_the_token_ring_without_overlap() -> None:
    slices = scan.token_slices(3)

    assert slices == [
        (-9223372036854775808, -3074457345618258604),
        (-3074457345618258603, 3074457345618258601),
        (3074457345618258602, 9223372036854775807),
    ]


@pytest.mark.parametrize("name", ["support; DROP", 'a"b', "Tickets", "", "a" * 49])
def test_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(SinkRejected, match="not a keyspace, table or column"):
        scan.count_rows(None, "support", name)


def test_unreachable_cassandra_is_reported_in_time_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (port,) = free_ports(1)
    started = time.monotonic()

    with pytest.raises(SinkUnavailable) as caught:
        client.connect(load_settings({"cassandra_port": port}), timeout_seconds=2)

    assert time.monotonic() - started < 4
    assert f"port {port}" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "make up" in str(caught.value)
    assert caplog.records == []


def test_every_table_of_the_platform_declares_its_compaction() -> None:
    scripts = [path.read_text() for path in sorted(CQL_FOLDER.glob("[0-9]*.cql"))]
    tables = [s for text in scripts for s in split_statements(text) if TABLE.match(s)]

    strategies = [re.findall(r"'class': '(\w+)', 'scaling_parameters': '(\w+)'", s) for s in tables]

    unified = "UnifiedCompactionStrategy"
    # Partitions of the last one never end.
    assert strategies == [[(unified, "T4")]] * 3 + [[(unified, "L4")]]
