"""Reading tables with shards: rows, pages, records and trace."""

from __future__ import annotations

import zlib
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from cql.rows import RowPage
from cql.shards import _sortable, page_of_shards, select_divided
from errors import SinkRejected
from operations.overview import records
from operations.overview.records import partitions, record_page, record_tables
from operations.trace.derive import evaluated
from operations.trace.lookup import KeyedTable, tables_of
from settings import Settings
from spark_jobs.registry import load_pipeline, pipelines_of
from spark_jobs.sinks.cassandra import CassandraSink
from tests.support.pipeline_folders import (
    DECLARED_SHARDS,
    SHARD_COLUMN,
    SHARD_IN_KEY,
    orders,
)


class ShardedStore:
    """A cluster with `k.t` ((status, shard), at DESC, id) in three shards, two rows in each."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        columns = {"status": "text", "shard": "int", "at": "timestamp", "id": "text"}
        described = {
            name: SimpleNamespace(name=name, cql_type=kind, is_reversed=name == "at")
            for name, kind in columns.items()
        }
        table = SimpleNamespace(
            columns=described,
            partition_key=[described["status"], described["shard"]],
            clustering_key=[described["at"], described["id"]],
            options={},
        )
        keyspaces = {"k": SimpleNamespace(tables={"t": table})}
        self.cluster = SimpleNamespace(metadata=SimpleNamespace(keyspaces=keyspaces))

    def prepare(self, text: str) -> Any:
        names = [each.split(" = ")[0] for each in text.split(" WHERE ")[1].split(" AND ")]
        types = {"shard": "int"}
        metadata = [
            SimpleNamespace(name=n, type=SimpleNamespace(typename=types.get(n, "text")))
            for n in names
        ]

        def bind(values: list[Any]) -> Any:
            given = dict(zip(names, values, strict=True))
            self.asked.append(given)
            return SimpleNamespace(where=given, fetch_size=0)

        return SimpleNamespace(column_metadata=metadata, bind=bind)

    def execute(self, statement: Any, paging_state: bytes | None = None) -> Any:
        if isinstance(statement, str):
            return [{"status": "paid", "shard": n} for n in range(3)]
        shard = statement.where["shard"]
        rows = [
            {"status": "paid", "shard": shard, "at": 1000 * (10 * turn + shard), "id": f"{shard}"}
            for turn in (2, 1)
        ]
        start = paging_state[0] if paging_state else 0
        end = start + statement.fetch_size
        state = bytes([end]) if end < len(rows) else None
        return SimpleNamespace(current_rows=rows[start:end], paging_state=state)


def seconds(rows: Any) -> list[int]:
    return [row["at"].minute * 60 + row["at"].second for row in rows]


def test_rows_of_all_shards_come_in_the_tables_order() -> None:
    store: Any = ShardedStore()

    rows = select_divided(store, "k", "t", {"status": "paid"}, 4, 3)

    # Newest first, whatever their shard; each shard was asked once.
    assert seconds(rows) == [22, 21, 20, 12]
    assert [asked["shard"] for asked in store.asked] == [0, 1, 2]


def test_part_of_a_key_gives_the_newest_of_its_first_key_whatever_their_shard() -> None:
    store: Any = ShardedStore()
    tables = store.cluster.metadata.keyspaces["k"].tables
    day = SimpleNamespace(name="day", cql_type="text", is_reversed=False)
    tables["t"].columns["day"] = day
    tables["t"].partition_key.insert(1, day)
    kept = [{"status": "paid", "day": d, "shard": n} for d in ("1", "2") for n in range(3)]
    rows_of = store.execute
    store.execute = lambda asked, **state: (
        kept if isinstance(asked, str) else rows_of(asked, **state)
    )

    rows = select_divided(store, "k", "t", {"status": "paid"}, 4, 3)

    assert seconds(rows) == [22, 21, 20, 12]
    assert [(a["day"], a["shard"]) for a in store.asked] == [("2", 0), ("2", 1), ("2", 2)]


def test_ids_with_a_time_are_merged_in_its_order() -> None:
    earlier, later = (UUID(fields=(low, 0, 0x1000, 0x80, 0, 1)) for low in (1, 2))
    later_first = UUID(fields=(0, 1, 0x1000, 0x80, 0, 1))

    assert sorted([later_first, later, earlier], key=lambda each: _sortable(each, "uuid")) == [
        earlier,
        later,
        later_first,
    ]


def test_single_shard_can_be_asked_for() -> None:
    store: Any = ShardedStore()

    rows = select_divided(store, "k", "t", {"status": "paid", "shard": "1"}, 9, 3)

    assert seconds(rows) == [21, 11]
    assert store.asked == [{"status": "paid", "shard": 1}]


def test_pages_go_from_shard_to_shard_and_miss_no_row() -> None:
    store: Any = ShardedStore()
    where, found, page, sizes = {"status": "paid"}, list[Any](), None, []
    while True:
        each = page_of_shards(store, "k", "t", where, 3, 3, page)
        found += each.rows
        sizes.append(len(each.rows))
        page = each.following
        if page is None:
            break

    assert sizes == [3, 3]
    assert seconds(found) == [20, 10, 21, 11, 22, 12]


@pytest.mark.parametrize("page", ["3", "x.00", "-1", "1.zz", "9" * 5000])
def test_page_that_is_none_of_the_table_is_refused(page: str) -> None:
    store: Any = ShardedStore()

    with pytest.raises(SinkRejected, match="begin again with the first one"):
        page_of_shards(store, "k", "t", {"status": "paid"}, 3, 3, page)


@pytest.fixture
def folder_of(tmp_path: Path) -> Settings:
    orders(tmp_path, DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY)
    return Settings(_env_file=None, pipelines_path=tmp_path, pipelines=("orders",))


def test_page_of_records_hides_the_shard(
    folder_of: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = record_tables(folder_of)["orders.orders_by_status"]
    stored = [{"status": "paid", "created_day": "d", "shard": n} for n in range(3)]
    monkeypatch.setattr(records, "first_partitions", lambda *given: stored[: given[-1]])
    stores: Any = SimpleNamespace(session=ShardedStore(), asked=lambda _, question: question())

    assert [column.name for column in table.key] == ["status", "created_day"]
    assert partitions(stores, table) == ([{"status": "paid", "created_day": "d"}], False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Columns and page of each partition that is asked for; each is empty."""
    found: list[Any] = []

    def page(*given: Any) -> RowPage:
        found.append((given[3], *given[5:]))
        return RowPage([])

    monkeypatch.setattr("cql.shards.select_page", page)
    return found


def cluster_with(key: list[str], comment: str = "") -> Any:
    """Stores with the table of both declarations, as it was made with this partition key."""
    columns = [SimpleNamespace(name=name) for name in key]
    table = SimpleNamespace(partition_key=columns, options={"comment": comment})
    keyspace = SimpleNamespace(tables={"orders_by_status": table, "tickets_by_team": table})
    keyspaces = {"orders": keyspace, "support": keyspace}
    cluster = SimpleNamespace(metadata=SimpleNamespace(keyspaces=keyspaces))
    return SimpleNamespace(
        session=SimpleNamespace(cluster=cluster), asked=lambda _, question: question()
    )


BY_STATUS = ["status", "created_day", "shard"]


def test_page_of_records_asks_all_shards_or_the_one_that_is_named(
    folder_of: Settings, asked: list[Any]
) -> None:
    table = record_tables(folder_of)["orders.orders_by_status"]
    key = {"status": "paid", "created_day": "2026-11-22"}
    stores = cluster_with(BY_STATUS)

    record_page(stores, table, key, page="1.00")
    record_page(stores, table, {**key, "shard": "2"})

    assert asked == [
        ({**key, "shard": 1}, "00"),
        ({**key, "shard": 2}, None),
        ({**key, "shard": "2"}, None),
    ]


@pytest.mark.parametrize(
    ("made_with", "now", "shards"),
    [(3, 1, [0, 1, 2]), (1, 3, [None]), (2, 3, [0, 1]), (1, 1, [None])],
)
def test_page_of_records_and_trace_ask_as_the_table_was_made_whatever_the_settings_say(
    made_with: int, now: int, shards: list[int | None], asked: list[Any]
) -> None:
    settings = Settings(_env_file=None, tickets_by_team_shards=now)
    key = {"assigned_team": "Billing", "created_hour": "2026-11-22T10:00:00Z"}
    note = f"By team; TICKETS_BY_TEAM_SHARDS={made_with}" if made_with > 1 else "By team"
    stores = cluster_with([*key, "shard"] if made_with > 1 else [*key], note)

    record_page(stores, record_tables(settings)["support.tickets_by_team"], key)

    assert [each[0].get("shard") for each in asked] == shards
    asked.clear()
    table = tables_of(pipelines_of(settings)[0], [CassandraSink], stores)[1]
    completed = table.completed({"ticket_id": "T-1", **key}, has_row=True)
    assert isinstance(completed, dict)
    [*table.ask(completed)]
    assert [each[0].get("shard") for each in asked] == shards


def test_keys_are_listed_once_however_many_shards_the_table_was_made_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours = [{"assigned_team": "Billing", "created_hour": f"{hour}"} for hour in (1, 2, 3)]
    kept = [{**hour, "shard": shard} for hour in hours for shard in range(3)]
    monkeypatch.setattr(records, "first_partitions", lambda *given: kept[: given[-1]])
    monkeypatch.setattr(records, "MOST_PARTITIONS", 2)
    table = record_tables(Settings(_env_file=None))["support.tickets_by_team"]
    stores = cluster_with([*hours[0], "shard"], "By team; TICKETS_BY_TEAM_SHARDS=3")

    assert table.shards == 1
    assert partitions(stores, table) == (hours[:2], True)


def by_status(folder_of: Settings) -> KeyedTable:
    pipeline = load_pipeline(folder_of.pipelines_path / "orders")
    return tables_of(pipeline, [CassandraSink], cluster_with(BY_STATUS))[1]


def test_trace_computes_the_shard_as_the_job_does(folder_of: Settings, asked: list[Any]) -> None:
    table = by_status(folder_of)
    at = datetime.fromisoformat("2026-11-22T10:11:12")
    known = {"order_id": "O-1", "status": "paid", "created_at": at}

    completed = table.completed(known, has_row=True)

    assert isinstance(completed, dict)
    # CRC-32 of the bytes, as Spark's `crc32`.
    assert completed["shard"] == zlib.crc32(b"O-1") % 3
    [*table.ask(completed)]
    [(where, *_)] = asked
    assert where["shard"] == completed["shard"]
    assert evaluated("crc32(name)", {"name": "Spark"}, "bigint") == 1557323817


def test_trace_asks_every_shard_where_it_cannot_be_computed(
    folder_of: Settings, asked: list[Any]
) -> None:
    table = by_status(folder_of)
    known = {"status": "paid", "created_day": "2026-11-22"}

    completed = table.completed(known, has_row=True)

    assert isinstance(completed, dict)
    [*table.ask(completed)]
    assert [where for where, *_ in asked] == [
        {"status": "paid", "created_day": "2026-11-22", "shard": shard} for shard in range(3)
    ]
