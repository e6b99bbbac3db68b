"""Rows of a partition and dead letters, page by page and masked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import cqltypes
from cassandra.protocol import ColumnMetadata
from cassandra.query import PreparedStatement
from pymongo.errors import ExecutionTimeout

from cql import rows as cql_rows
from cql.rows import RowPage as Rows
from cql.rows import first_partitions, select_page, select_rows
from errors import RequestError, SinkRejected, SinkUnavailable
from operations.masking import MASK
from operations.overview import records
from operations.overview.records import (
    KeyColumn,
    dead_letter_page,
    partitions,
    record_page,
    record_tables,
)
from operations.overview.stores import OpenStores
from settings import Settings
from tests.support.builders import ticket
from tests.support.fake_broker import FakeBroker
from tests.support.fake_mongo import Database
from tests.support.pipeline_folders import EXAMPLES

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOPIC = "client_tickets"


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, pipelines_path=EXAMPLES, sinks=("cassandra", "mongodb"))


@pytest.fixture
def stores(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> OpenStores:
    # The driver knows no table, so the declared number of shards counts.
    session = SimpleNamespace(cluster=SimpleNamespace(metadata=SimpleNamespace(keyspaces={})))
    monkeypatch.setattr(OpenStores, "session", property(lambda _: session))
    return OpenStores(settings)


def test_tables_of_all_pipelines_say_what_is_masked_and_how_they_are_found(
    settings: Settings,
) -> None:
    tables = record_tables(settings)

    assert [*tables] == [
        "support.tickets",
        "support.tickets_by_team",
        "usersprofilespace.users_profiles",
        "usersprofilespace.profiles_by_nationality",
        "orders.orders",
        "orders.orders_by_status",
        "sensors.readings",
        "sensors.readings_by_state",
    ]
    assert {name for name, table in tables.items() if not table.is_listed} == {
        "support.tickets",
        "usersprofilespace.users_profiles",
        "orders.orders",
    }
    assert tables["support.tickets_by_team"].masked == {"request"}
    assert tables["usersprofilespace.users_profiles"].masked == {
        *("age", "full_name", "title", "username"),
    }
    assert tables["orders.orders_by_status"].key == (
        KeyColumn("status", "text", ("new", "paid", "shipped", "cancelled", "test")),
        KeyColumn("created_day", "date"),
    )


def test_rows_of_a_partition_are_masked_and_followed_by_the_next_page(
    stores: OpenStores, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def page(*arguments: Any) -> Rows:
        asked.append(arguments[1:])
        row = {"ticket_id": "A-1", "request": "My invoice", "assigned_team": "Billing"}
        return Rows([row, row | {"request": None}], "00ff")

    monkeypatch.setattr("cql.shards.select_page", page)
    table = record_tables(settings)["support.tickets_by_team"]
    key = {"assigned_team": "Billing", "created_hour": "2026-11-22T10:00:00Z"}

    found = record_page(stores, table, key, size=100_000, page="00aa")

    assert found.following == "00ff"
    assert [row["request"] for row in found.rows] == [MASK, None]
    assert found.rows[0]["assigned_team"] == "Billing"
    # A row of the page that follows is asked for, as there may be none.
    place = ("support", "tickets_by_team", key)
    assert asked == [(*place, records.MOST_ROWS, "00aa"), (*place, 1, "00ff")]


def test_partition_that_ends_with_a_page_has_no_further_page(
    stores: OpenStores, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cql.shards.select_page",
        lambda *given: Rows([{"a": 1}], "00ff") if given[4] > 1 else Rows([]),
    )
    table = record_tables(settings)["support.tickets"]

    found = record_page(stores, table, {"ticket_id": "A-1"}, size=2)

    assert (len(found.rows), found.following) == (1, None)


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"assigned_team": "Billing"},
        {"assigned_team": "Billing", "created_hour": "x", "ticket_id": "A-1"},
    ],
)
def test_part_of_a_key_is_refused_as_it_would_scan_the_table(
    stores: OpenStores, settings: Settings, key: Mapping[str, str]
) -> None:
    table = record_tables(settings)["support.tickets_by_team"]

    with pytest.raises(RequestError, match="are found by assigned_team, created_hour"):
        record_page(stores, table, key)


def test_keys_are_listed_up_to_a_bound_only_where_a_partition_has_several_records(
    stores: OpenStores, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [{"state": state, "reading_day": "2026-11-22"} for state in ("warning", "fault", "ok")]
    monkeypatch.setattr(records, "first_partitions", lambda *given: keys[: given[-1]])
    tables = record_tables(settings)

    assert partitions(stores, tables["sensors.readings_by_state"]) == (
        [keys[1], keys[2], keys[0]],
        False,
    )
    monkeypatch.setattr(records, "MOST_PARTITIONS", 2)
    listed, has_more = partitions(stores, tables["sensors.readings_by_state"])
    assert (listed, has_more) == ([keys[1], keys[0]], True)
    assert partitions(stores, tables["support.tickets"]) == ([], False)


class FakeSession:
    """A cluster with one table, `k.t` ((a), b), which gives at most two rows at a time."""

    def __init__(self) -> None:
        self.rows = [{"a": 1, "b": n, "at": n * 1000} for n in range(5)]
        self.executed: list[str] = []
        self.sizes: list[int] = []
        self.typename = "int"
        column = type("Column", (), {"name": "a", "cql_type": "int"})
        columns = {n: type("C", (), {"cql_type": k}) for n, k in (("a", "int"), ("b", "int"))}
        columns["at"] = type("C", (), {"cql_type": "timestamp"})
        table = type("Table", (), {"partition_key": [column], "columns": columns})
        keyspace = type("Keyspace", (), {"tables": {"t": table}})
        metadata = type("Metadata", (), {"keyspaces": {"k": keyspace}})
        self.cluster = type("Cluster", (), {"metadata": metadata})

    def prepare(self, text: str) -> Any:
        self.executed.append(text)
        kind = type("Type", (), {"typename": self.typename})
        bound = type("Bound", (), {"fetch_size": 0})
        column = type("Meta", (), {"type": kind, "name": "a"})
        return type(
            "Prepared", (), {"column_metadata": [column], "bind": lambda _, values: bound}
        )()

    def execute(self, statement: Any, paging_state: bytes | None = None) -> Any:
        if isinstance(statement, str):
            self.executed.append(statement)
            return [{"a": 1}, {"a": 2}]
        start = paging_state[0] if paging_state else 0
        self.sizes.append(statement.fetch_size)
        end = start + min(statement.fetch_size, 2)
        state = bytes([end]) if end < len(self.rows) else None
        rows = self.rows[start:end]
        return type("Answer", (), {"current_rows": rows, "paging_state": state})


def test_page_is_full_although_the_cluster_gives_fewer_rows_at_a_time() -> None:
    session: Any = FakeSession()

    first = select_page(session, "k", "t", {"a": "1"}, 3)
    rest = select_page(session, "k", "t", {"a": "1"}, 3, first.following)

    assert [row["b"] for row in (*first.rows, *rest.rows)] == [0, 1, 2, 3, 4]
    assert (first.following, rest.following) == ("03", None)
    # The second request asks only for what is missing.
    assert session.sizes == [3, 1, 3]
    assert first.rows[1]["at"] == datetime.fromisoformat("1970-01-01T00:00:01")
    assert session.executed[0] == ("SELECT a, b, toUnixTimestamp(at) AS at FROM k.t WHERE a = ?")
    assert len(select_rows(session, "k", "t", {"a": 1}, 4)) == 4


def test_partitions_are_listed_by_their_keys_alone() -> None:
    session: Any = FakeSession()

    assert first_partitions(session, "k", "t", 7) == [{"a": 1}, {"a": 2}]
    assert session.executed == ["SELECT DISTINCT a FROM k.t LIMIT 7"]


def test_value_that_is_no_day_is_refused_before_it_is_sent() -> None:
    session: Any = FakeSession()
    session.typename = "date"

    with pytest.raises(RequestError, match="`a` takes a date"):
        select_page(session, "k", "t", {"a": "yesterday"}, 3)
    assert session.sizes == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (cqltypes.Int32Type, "99999999999"),
        (cqltypes.FloatType, "1e300"),
        (cqltypes.ShortType, "7"),
        (cqltypes.BooleanType, "[" * 100_000),
        (cqltypes.DateType, "0001-01-01T00:00:00+14:00"),
        (cqltypes.UTF8Type, "secret\udcff"),
    ],
)
def test_value_that_no_column_of_this_type_takes_is_refused_without_being_quoted(
    kind: Any, value: str
) -> None:
    session: Any = FakeSession()
    column = ColumnMetadata("k", "t", "a", kind)
    given = ([column], b"", None, "", "k", 5, None, None)
    session.prepare = lambda _: PreparedStatement(*given)

    with pytest.raises(RequestError, match=r"`a` takes a|does not fit its column") as caught:
        select_page(session, "k", "t", {"a": value}, 3)
    assert value not in str(caught.value)
    assert session.sizes == []


@pytest.mark.parametrize("page", ["no page", "0x", "ä"])
def test_page_of_another_form_is_refused(page: str) -> None:
    with pytest.raises(RequestError, match="not the page of a table"):
        select_page(FakeSession(), "k", "t", {"a": 1}, 3, page)  # type: ignore[arg-type]


def test_name_that_could_change_a_statement_is_refused() -> None:
    with pytest.raises(RequestError, match="not a keyspace, table or column"):
        cql_rows.first_partitions(FakeSession(), "k", "t; DROP", 1)  # type: ignore[arg-type]


@pytest.fixture
def letters(stores: OpenStores, monkeypatch: pytest.MonkeyPatch) -> OpenStores:
    """Five dead letters of tickets and one of orders; one message has expired."""
    broker, database = FakeBroker(), Database()
    monkeypatch.setattr(OpenStores, "database", property(lambda _: database))
    monkeypatch.setattr(records, "messages_at", broker.at)
    for offset in range(5):
        reasons = ["missing_priority"] if offset % 2 else ["invalid_created_at", "missing_priority"]
        document = {"_id": f"{TOPIC}/0/{offset}", "source_topic": TOPIC, "reasons": reasons}
        document["source_timestamp"] = NOON if offset else "-5"
        database["dead_letters"].documents.append(document)
        value = json.dumps(ticket(ticket_id=f"A-{offset}", priority=...)).encode()
        broker.put(TOPIC, (0, offset), value)
    other = {"_id": "orders/1/7", "source_topic": "orders", "reasons": ["unparseable"]}
    database["dead_letters"].documents += [other, other | {"_id": "gone/0/1", "source_topic": "x"}]
    broker.put("orders", (1, 7), b"no JSON")
    broker.first[TOPIC] = 1
    return stores


def test_dead_letters_follow_each_other_in_pages_with_masked_messages(letters: OpenStores) -> None:
    first = dead_letter_page(letters, "tickets", size=3)
    rest = dead_letter_page(letters, "tickets", size=3, page=first.following)

    sources = [letter.source for letter in (*first.letters, *rest.letters)]
    assert sources == [f"{TOPIC}/0/{offset}" for offset in range(5)]
    assert (first.following, rest.following) == (f"{TOPIC}/0/2", None)
    expired, shown = first.letters[:2]
    assert (expired.value, expired.timestamp) == (None, "-5")
    assert "no longer has the message" in str(expired.absent)
    assert (shown.timestamp, shown.absent) == (NOON, None)
    assert json.loads(str(shown.value))["request"] == MASK
    assert json.loads(str(shown.value))["ticket_id"] == "A-1"


def test_dead_letters_are_chosen_by_pipeline_and_reason(letters: OpenStores) -> None:
    everything = dead_letter_page(letters)
    by_reason = dead_letter_page(letters, None, "invalid_created_at")

    # A topic of no enabled pipeline has no contract by which it could be masked.
    assert [x.pipeline for x in everything.letters] == ["tickets"] * 5 + ["orders"]
    assert [x.source for x in by_reason.letters] == [f"{TOPIC}/0/{n}" for n in (0, 2, 4)]
    assert dead_letter_page(letters, "orders", "missing_priority").letters == ()
    with pytest.raises(RequestError, match="Did you mean `orders`"):
        dead_letter_page(letters, "order")


def test_dead_letters_are_listed_without_messages_while_the_broker_is_away(
    letters: OpenStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Settings, topic: str, __: Any) -> None:
        asked.append(topic)
        raise SinkUnavailable("Cannot reach Kafka. Start it with `make up`.")

    asked: list[str] = []
    monkeypatch.setattr(records, "messages_at", away)

    (letter, *_) = dead_letter_page(letters, "orders").letters
    assert dead_letter_page(letters, "tickets").letters[0].absent == letter.absent

    # It is not waited for again.
    assert asked == ["orders"]
    assert letter.reasons == ("unparseable",)
    assert letter.absent == "Cannot reach Kafka. Start it with `make up`."


def test_search_that_takes_too_long_is_an_error_in_words(letters: OpenStores) -> None:
    database: Any = letters.database
    database["dead_letters"].fault = ExecutionTimeout("operation exceeded time limit", 50)

    with pytest.raises(SinkRejected, match="ExecutionTimeout, code 50"):
        dead_letter_page(letters)


def test_service_that_did_not_answer_is_not_asked_again_at_once(
    settings: Settings, tmp_path: Path
) -> None:
    asked: list[int] = []

    def question() -> int:
        asked.append(1)
        raise SinkUnavailable("away")

    def refused() -> int:
        raise SinkRejected("the search took too long")

    with OpenStores(settings) as stores:
        for _ in range(3):
            with pytest.raises(SinkUnavailable, match="away"):
                stores.asked("cassandra", question)
        assert stores.asked("mongodb", lambda: 7) == 7
        # A question that it refuses keeps no one from others.
        with pytest.raises(SinkRejected):
            stores.asked("mongodb", refused)
        assert stores.asked("mongodb", lambda: 7) == 7

    assert asked == [1]


def test_wait_for_one_service_keeps_no_one_from_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, answered = Event(), Event()

    def connect(*_: Any) -> None:
        waits.set()
        assert answered.wait(20)
        raise SinkUnavailable("away")

    monkeypatch.setattr("operations.overview.stores.connect", connect)
    monkeypatch.setattr("operations.overview.stores.check_mongodb", lambda *_: None)
    with OpenStores(settings) as stores, ThreadPoolExecutor(1) as other:
        cassandra = other.submit(lambda: stores.session)
        assert waits.wait(20)
        assert stores.database.name == settings.mongo_database
        answered.set()
        with pytest.raises(SinkUnavailable):
            cassandra.result(20)
