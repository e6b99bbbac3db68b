"""Tables whose partitions are divided into shards: what declares them, and how they are read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from cql.rows import RowPage
from cql.shards import _sortable, page_of_shards, select_divided
from errors import PipelineError, SinkRejected
from operations.check.partitions import growth
from operations.overview import records
from operations.overview.records import partitions, record_page, record_tables
from operations.trace.derive import evaluated
from operations.trace.lookup import KeyedTable, tables_of
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import load_pipeline
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.start_checks.declaration_change import changes
from spark_jobs.start_checks.declaration_shape import shape_of
from tests.support.pipeline_folders import (
    CONTRACT,
    CQL,
    DECLARATION,
    DECLARED_SHARDS,
    ORDERS_BY_STATUS,
    SHARD_COLUMN,
    SHARD_IN_KEY,
    Edit,
    assert_expected,
    declaration,
    faults,
    orders,
)


def sharded(tmp_path: Path, *edits: Edit) -> Pipeline:
    return load_pipeline(orders(tmp_path, DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY, *edits))


def test_declared_shards_need_a_column_in_the_partition_key_and_nothing_else(
    tmp_path: Path,
) -> None:
    assert faults(orders(tmp_path / "whole", DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY)) == []

    assert_expected(
        faults(orders(tmp_path / "without", DECLARED_SHARDS)),
        [(CQL, ORDERS_BY_STATUS, "add a column `shard int`, and `shard` to its partition key")],
    )
    assert_expected(
        faults(orders(tmp_path / "at the end", DECLARED_SHARDS, SHARD_COLUMN)),
        [(CQL, ORDERS_BY_STATUS, "and `shard` to its partition key")],
    )


def test_column_of_shards_is_fed_by_the_id_alone(tmp_path: Path) -> None:
    feeds = (CONTRACT, '"x-column": "items"', '"x-column": "shard"')
    first = declaration('Table("orders.orders")', 'Table("orders.orders", shards=4)')

    found = faults(orders(tmp_path, DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY, feeds, first))

    said = [fault.text for fault in found if fault.where.endswith(".shards")]
    place = "tables have different numbers of shards; give all the same"
    assert said.count(place) == 2
    assert "`items` of the contract feeds `shard`; rename its column" in said


def test_shard_follows_from_the_id_and_is_written_like_any_derived_column(tmp_path: Path) -> None:
    pipeline = sharded(tmp_path)

    assert pipeline.derived == {
        "shard": "cast(pmod(crc32(order_id), 3) AS int)",
        "created_day": "to_date(created_at)",
    }
    assert pipeline.column_types["shard"] == "int"
    assert growth(pipeline, pipeline.tables[1]).shares == 15


def test_id_of_several_fields_is_joined_as_everywhere(tmp_path: Path) -> None:
    ids = (
        CONTRACT,
        '"x-event-time": true, "x-sens',
        '"x-id": true, "x-event-time": true, "x-sens',
    )

    derived = sharded(tmp_path, ids).derived

    assert isinstance(derived, Mapping)
    assert derived["shard"].startswith("cast(pmod(crc32(concat_ws('|', ")
    assert derived["shard"].endswith(", 3) AS int)")


def test_another_number_of_shards_is_a_breaking_change(tmp_path: Path) -> None:
    before = shape_of(sharded(tmp_path / "three"))
    more = declaration("shards=3", "shards=4")

    found = changes(before, shape_of(sharded(tmp_path / "four", more)))

    assert [str(change).partition(";")[0] for change in found] == [
        "breaking: derived column `shard` changed"
    ]
    first = shape_of(load_pipeline(orders(tmp_path / "none")))
    assert {change.kind for change in changes(first, before)} == {"breaking", "needs a column"}


@pytest.mark.parametrize(
    "derived", ['{"created_day": "to_date(created_at)", "shard": "1"}', "lambda rows: rows"]
)
def test_shard_that_would_not_follow_from_the_id_is_refused(derived: str, tmp_path: Path) -> None:
    own = declaration('derived={"created_day": "to_date(created_at)"}', f"derived={derived}")

    with pytest.raises(PipelineError, match=r"derived: (has `shard`|is a function)"):
        sharded(tmp_path, own)


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        ('{"cuntry": 5}', "`cuntry` is not in the partition key; leave it out"),
        ('{"created_day": 365}', "`created_day` divides records by itself; leave it out"),
    ],
)
def test_number_of_values_is_declared_only_of_what_divides_by_its_values(
    spread: str, words: str, tmp_path: Path
) -> None:
    given = (DECLARATION, 'orders_by_status")', f'orders_by_status", spread={spread})')

    assert_expected(
        faults(orders(tmp_path, given)),
        [(DECLARATION, 'tables["orders.orders_by_status"].spread', words)],
    )


def test_without_shards_nothing_is_derived(tmp_path: Path) -> None:
    pipeline = load_pipeline(orders(tmp_path))

    assert pipeline.derived == {"created_day": "to_date(created_at)"}
    assert [table.shards for table in pipeline.tables] == [1, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("shards=0", "tables[1].shards: is no whole number from 1 to 1,024"),
        ("shards=True", "tables[1].shards: is no whole number from 1 to 1,024"),
        ("shards=1025", "tables[1].shards: is no whole number from 1 to 1,024"),
        (
            'shards=3, derived={"shard": "1"}',
            'tables["orders.orders_by_status"].derived: has `shard`, which `shards` gives',
        ),
        ("shards=3, derived=5", "tables[1].derived: is of type int; expected a dictionary"),
        ('spread={"status": "5"}', "tables[1].spread: is no dictionary of whole numbers"),
        ("spread=5", "tables[1].spread: is no dictionary of whole numbers"),
    ],
)
def test_declaration_of_another_type_is_refused(given: str, words: str, tmp_path: Path) -> None:
    folder = orders(tmp_path, (DECLARATION, 'orders_by_status")', f'orders_by_status", {given})'))

    with pytest.raises(PipelineError) as caught:
        load_pipeline(folder)
    assert words in str(caught.value)


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
    stores: Any = SimpleNamespace(session=ShardedStore())

    assert [column.name for column in table.key] == ["status", "created_day"]
    assert partitions(stores, table) == ([{"status": "paid", "created_day": "d"}], False)


def test_page_of_records_asks_all_shards_or_the_one_that_is_named(
    folder_of: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = record_tables(folder_of)["orders.orders_by_status"]
    key = {"status": "paid", "created_day": "2026-11-22"}
    asked: list[Any] = []

    def page(name: str, *given: Any) -> RowPage:
        asked.append((name, *given[3:]))
        return RowPage([])

    monkeypatch.setattr(records, "select_page", partial(page, "one"))
    monkeypatch.setattr(records, "page_of_shards", partial(page, "all"))
    stores: Any = SimpleNamespace(session=None)

    record_page(stores, table, key, page="1.00")
    record_page(stores, table, {**key, "shard": "2"})

    assert asked == [
        ("all", key, records.PAGE, 3, "1.00"),
        ("one", {**key, "shard": "2"}, records.PAGE, None),
    ]


def by_status(folder_of: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[KeyedTable, list[Any]]:
    asked: list[Any] = []

    def page(name: str, *given: Any) -> RowPage:
        asked.append((name, given[3]))
        return RowPage([])

    monkeypatch.setattr("operations.trace.lookup.select_page", partial(page, "one"))
    monkeypatch.setattr("operations.trace.lookup.page_of_shards", partial(page, "all"))
    pipeline = load_pipeline(folder_of.pipelines_path / "orders")
    stores: Any = SimpleNamespace(session=None)
    return tables_of(pipeline, [CassandraSink], stores)[1], asked


def test_trace_computes_the_shard_as_the_job_does(
    folder_of: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, asked = by_status(folder_of, monkeypatch)
    at = datetime.fromisoformat("2026-11-22T10:11:12")
    known = {"order_id": "O-1", "status": "paid", "created_at": at}

    completed = table.completed(known, has_row=True)

    assert isinstance(completed, dict)
    # CRC-32 of the bytes, as Spark's `crc32`.
    assert completed["shard"] == zlib.crc32(b"O-1") % 3
    [*table.ask(completed)]
    assert asked[0][0] == "one"
    assert evaluated("crc32(name)", {"name": "Spark"}, "bigint") == 1557323817


def test_trace_asks_every_shard_where_it_cannot_be_computed(
    folder_of: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, asked = by_status(folder_of, monkeypatch)
    known = {"status": "paid", "created_day": "2026-11-22"}

    completed = table.completed(known, has_row=True)

    assert isinstance(completed, dict)
    [*table.ask(completed)]
    assert asked == [("all", {"status": "paid", "created_day": "2026-11-22"})]
