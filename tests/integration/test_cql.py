"""The CQL files and the client, against a running Cassandra."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cassandra.cluster import Session

from cql import client, scan
from cql.rows import first_partitions, select_page, select_rows
from cql.statements import with_replication
from errors import SinkRejected, SinkUnavailable
from settings import Settings

KEYSPACE = "cql_test"
RECORD_OF_A_TICKET = {
    "ticket_id": "text",
    "client_id": "text",
    "created_at": "timestamp",
    "request": "text",
    "request_type": "text",
    "priority": "text",
    "assigned_team": "text",
    "kafka_partition": "int",
    "kafka_offset": "bigint",
    "kafka_timestamp": "timestamp",
}
RECORD_OF_A_PROFILE = {
    "identifiant": "uuid",
    "title": "text",
    "gender": "text",
    "full_name": "text",
    "username": "text",
    "email": "text",
    "domain_name": "text",
    "phone": "text",
    "full_address": "text",
    "age": "int",
    "inscription": "text",
    "nationality": "text",
    "hash_key_id": "text",
    "kafka_partition": "int",
    "kafka_offset": "bigint",
    "kafka_timestamp": "timestamp",
}


@pytest.fixture(scope="module")
def session(stack_settings: Settings) -> Iterator[Session]:
    session = client.connect(stack_settings)
    client.apply_tables(session, stack_settings)
    session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE}"
        " WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
    )
    session.execute(
        f"CREATE TABLE IF NOT EXISTS {KEYSPACE}.rows"
        " (id uuid, moment timestamp, number int, text text, PRIMARY KEY ((id, moment), number))"
    )
    session.execute(f"TRUNCATE {KEYSPACE}.rows")
    yield session
    session.execute(f"DROP KEYSPACE {KEYSPACE}", timeout=60)
    client.close(session)


def test_files_applied_again_change_nothing(session: Session, stack_settings: Settings) -> None:
    session.execute("INSERT INTO support.tickets (ticket_id, client_id) VALUES ('CQL-1', 'C1')")

    client.apply_tables(session, stack_settings)

    rows = select_rows(session, "support", "tickets", {"ticket_id": "CQL-1"})
    assert [row["client_id"] for row in rows] == ["C1"]
    session.execute("DELETE FROM support.tickets WHERE ticket_id = 'CQL-1'")


def test_several_copies_lie_in_the_named_data_centre(session: Session) -> None:
    made = "CREATE KEYSPACE copies WITH replication = {'class': 'NetworkTopologyStrategy',"
    session.execute(with_replication(f"{made} 'replication_factor': 1}}", 3, "datacenter1"))

    rows = session.execute(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'copies'"
    )

    assert dict(rows.one()["replication"]) == {
        "class": "org.apache.cassandra.locator.NetworkTopologyStrategy",
        "datacenter1": "3",
    }
    session.execute("DROP KEYSPACE copies", timeout=60)


def test_consistency_that_too_few_copies_can_give_is_an_outage(stack_settings: Settings) -> None:
    quorum_of_three = client.connect(stack_settings)
    made = "CREATE KEYSPACE three WITH replication = {'class': 'NetworkTopologyStrategy',"
    quorum_of_three.execute(f"{made} 'datacenter1': 3}}", timeout=60)
    quorum_of_three.execute("CREATE TABLE three.rows (id int PRIMARY KEY)", timeout=60)

    with pytest.raises(SinkUnavailable, match="Cannot achieve consistency level"):
        select_rows(quorum_of_three, "three", "rows")
    one = client.connect(stack_settings.model_copy(update={"cassandra_consistency": "LOCAL_ONE"}))
    assert select_rows(one, "three", "rows") == []

    client.close(one)
    quorum_of_three.execute("DROP KEYSPACE three", timeout=60)
    client.close(quorum_of_three)


@pytest.mark.parametrize(
    ("keyspace", "table", "columns", "partition_key", "clustering_key"),
    [
        ("support", "tickets", RECORD_OF_A_TICKET, ["ticket_id"], []),
        (
            "support",
            "tickets_by_team",
            RECORD_OF_A_TICKET | {"created_hour": "timestamp"},
            ["assigned_team", "created_hour"],
            ["created_at", "ticket_id"],
        ),
        ("usersprofilespace", "users_profiles", RECORD_OF_A_PROFILE, ["identifiant"], []),
        (
            "usersprofilespace",
            "profiles_by_nationality",
            RECORD_OF_A_PROFILE | {"shard": "int"},
            ["nationality", "shard"],
            ["age", "identifiant"],
        ),
    ],
)
def test_tables_have_the_columns_and_keys_of_the_interface(
    session: Session,
    keyspace: str,
    table: str,
    columns: dict[str, str],
    partition_key: list[str],
    clustering_key: list[str],
) -> None:
    found = session.cluster.metadata.keyspaces[keyspace].tables[table]

    assert {name: column.cql_type for name, column in found.columns.items()} == columns
    assert [column.name for column in found.partition_key] == partition_key
    assert [column.name for column in found.clustering_key] == clustering_key
    assert found.options["comment"]


def test_newest_ticket_of_a_team_comes_first(session: Session) -> None:
    table = session.cluster.metadata.keyspaces["support"].tables["tickets_by_team"]

    assert [column.is_reversed for column in table.clustering_key] == [True, False]


def test_tickets_are_found_by_client(session: Session) -> None:
    statement = session.prepare("INSERT INTO support.tickets (ticket_id, client_id) VALUES (?, ?)")
    for number in range(3):
        session.execute(statement, (f"CQL-{number}", "CLIENT_0424242"))

    rows = select_rows(session, "support", "tickets", {"client_id": "CLIENT_0424242"})

    assert sorted(row["ticket_id"] for row in rows) == ["CQL-0", "CQL-1", "CQL-2"]
    for number in range(3):
        session.execute("DELETE FROM support.tickets WHERE ticket_id = %s", (f"CQL-{number}",))


def test_rows_are_counted_exactly_over_the_whole_ring(session: Session) -> None:
    statement = session.prepare("INSERT INTO cql_test.rows (id, moment, number) VALUES (?, ?, ?)")
    moment = datetime(2026, 11, 22, 14, tzinfo=UTC)
    assert scan.count_rows(session, KEYSPACE, "rows") == 0

    for partition in range(200):
        for number in range(3):
            session.execute(statement, (UUID(int=partition), moment, number))

    assert scan.count_rows(session, KEYSPACE, "rows") == 600


def test_part_of_the_partition_key_finds_its_partitions(session: Session) -> None:
    session.execute(f"TRUNCATE {KEYSPACE}.rows")
    for hour, number in ((9, 1), (11, 2), (9, 3)):
        session.execute(
            f"INSERT INTO {KEYSPACE}.rows (id, moment, number) VALUES (%s, %s, %s)",
            (UUID(int=number), datetime(2026, 11, 22, hour, tzinfo=UTC), number),
        )

    rows = select_rows(session, KEYSPACE, "rows", {"moment": "2026-11-22T10:00:00+01:00"})

    assert sorted(row["number"] for row in rows) == [1, 3]


def test_part_of_the_partition_key_that_is_nowhere_finds_nothing(session: Session) -> None:
    nowhere = "00000000-0000-0000-0000-0000000000ee"

    assert select_rows(session, KEYSPACE, "rows", {"id": nowhere}) == []


def test_texts_are_taken_as_the_type_of_their_column(session: Session) -> None:
    identifier = "00000000-0000-0000-0000-00000000ffff"
    session.execute(
        "INSERT INTO cql_test.rows (id, moment, number, text) VALUES (%s, %s, 7, 'here')",
        (UUID(identifier), datetime(2026, 11, 22, 14, tzinfo=UTC)),
    )
    where = {"id": identifier, "moment": "2026-11-22T15:00:00+01:00", "number": "7"}

    rows = select_rows(session, KEYSPACE, "rows", where, limit=5)

    assert [row["text"] for row in rows] == ["here"]


def test_partition_is_read_in_pages_and_keys_are_listed_without_rows(session: Session) -> None:
    session.execute(f"TRUNCATE {KEYSPACE}.rows")
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    statement = f"INSERT INTO {KEYSPACE}.rows (id, moment, number) VALUES (%s, %s, %s)"
    for partition, number in ((1, 1), (1, 2), (1, 3), (2, 7)):
        session.execute(statement, (UUID(int=partition), moment, number))
    where = {"id": str(UUID(int=1)), "moment": "2026-11-22T10:00:00Z"}

    first = select_page(session, KEYSPACE, "rows", where, 2)
    rest = select_page(session, KEYSPACE, "rows", where, 2, first.following)

    assert [row["number"] for row in (*first.rows, *rest.rows)] == [1, 2, 3]
    assert rest.following is None
    keys = first_partitions(session, KEYSPACE, "rows", 5)
    assert sorted(key["id"].int for key in keys) == [1, 2]
    assert {*keys[0]} == {"id", "moment"}
    assert len(first_partitions(session, KEYSPACE, "rows", 1)) == 1


def test_limit_holds(session: Session) -> None:
    assert len(select_rows(session, KEYSPACE, "rows", limit=2)) == 2


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"text": "x"}, "partition key"),
        ({"nope": "x"}, "nope"),
        ({"id": "not-a-uuid", "moment": "2026-11-22T14:00:00Z"}, "`id` takes a uuid"),
    ],
)
def test_impossible_question_is_refused_with_what_to_do(
    session: Session, where: dict[str, str], message: str
) -> None:
    with pytest.raises(SinkRejected, match=message):
        select_rows(session, KEYSPACE, "rows", where)


def test_table_that_is_not_there_is_named(session: Session) -> None:
    with pytest.raises(SinkRejected, match=r"support\.nothing"):
        scan.count_rows(session, "support", "nothing")


def test_closed_session_leaves_no_thread_that_holds_a_process(stack_settings: Settings) -> None:
    before = set(threading.enumerate())

    client.close(client.connect(stack_settings))

    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if not thread.daemon] == []


def test_running_cassandra_is_ready(stack_settings: Settings) -> None:
    assert client.is_ready(stack_settings)
