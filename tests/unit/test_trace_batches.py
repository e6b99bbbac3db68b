"""Which batch read a message, found without reading a whole ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from operations.trace.batches import Batches
from spark_jobs.registry import built_in
from spark_jobs.state.ledger import Counts, Entry
from tests.support.fake_mongo import Database

TICKETS, _, CUSTOMERS = built_in()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR_MS = 3_600_000


def entry(batch_id: int, pipeline: str = "tickets", **offsets: tuple[int, int]) -> dict[str, Any]:
    """A batch, confirmed a minute after the one before; `p0=(0, 5)` are offsets of partition 0."""
    ranges = {int(name[1:]): span for name, span in offsets.items()}
    made = Entry(pipeline, "t", f"query-{pipeline}", batch_id, ranges, Counts(), ("files",))
    return made.document(NOON + timedelta(minutes=batch_id))


@pytest.fixture
def database() -> Database:
    """A thousand batches of ten messages each, but batch 3 has none; partition 1 came later."""
    made, at = Database(), 0
    for batch_id in range(1000):
        size = 0 if batch_id == 3 else 10
        late = {"p1": (batch_id - 500, batch_id - 499)} if batch_id >= 500 else {}
        made["batches"].documents.append(entry(batch_id, p0=(at, at + size), **late))
        at += size
    return made


def batch_of(batches: Batches, partition: int, offset: int) -> int | None:
    found = batches.of((partition, offset))
    return found[0].entry.batch_id if found else None


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        *(((0, 0), 0), ((0, 29), 2), ((0, 30), 4), ((0, 9_989), 999)),
        *(((1, 0), 500), ((1, 499), 999)),
        # Not read yet, and a partition that no batch has.
        *(((0, 9_990), None), ((1, 500), None), ((7, 0), None)),
    ],
)
def test_batch_of_any_message_is_found(
    database: Database, place: tuple[int, int], expected: int | None
) -> None:
    assert batch_of(Batches(database, TICKETS), *place) == expected  # type: ignore[arg-type]


def test_a_few_entries_are_read_of_a_long_ledger(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    entries, find_one = database["batches"], database["batches"].find_one

    def counted(query: Any = None, *others: Any, **more: Any) -> Any:
        asked.append(query)
        return find_one(query, *others, **more)

    monkeypatch.setattr(entries, "find_one", counted)
    batches = Batches(database, TICKETS)  # type: ignore[arg-type]

    for offset in (0, 4_321, 9_989):
        assert batch_of(batches, 0, offset) is not None

    # Ten steps for each, the batch before it, and the last one of the ledger once; by the index.
    assert len(asked) <= 3 * 11 + 1
    assert all({*query} <= {"pipeline", "batch_id"} for query in asked)
    assert [query for query in asked if "batch_id" not in query] == [{"pipeline": "tickets"}]


def test_messages_before_the_first_batch_and_in_a_gap_have_none() -> None:
    database = Database(batches=[entry(0, p0=(10, 20)), entry(1, p0=(30, 40))])
    batches: Any = Batches(database, TICKETS)  # type: ignore[arg-type]

    assert [batch_of(batches, 0, offset) for offset in (9, 10, 25, 30, 40)] == [
        *(None, 0, None, 1, None)
    ]


def test_batch_of_another_query_is_found_by_a_search() -> None:
    old = entry(0, p0=(0, 10)) | {"_id": "older/0", "query_id": "older"}
    database = Database(batches=[old, entry(1, p0=(10, 20))])

    assert batch_of(Batches(database, TICKETS), 0, 5) == 0  # type: ignore[arg-type]


def test_each_part_of_a_pipeline_names_its_own_batch() -> None:
    files, postgres = "customers-files", "customers-postgres"
    database = Database(
        batches=[entry(0, files, p0=(0, 10)), entry(0, postgres, p0=(0, 4)), entry(1, postgres)]
    )
    database["batches"].documents[2]["offsets"] = [{"partition": 0, "from": 4, "until": 6}]
    batches = Batches(database, CUSTOMERS)  # type: ignore[arg-type]

    found = [(each.entry.pipeline, each.entry.batch_id) for each in batches.of((0, 5))]

    assert found == [(files, 0), (postgres, 1)]
    assert batches.ends == {0: 10}


def test_sinks_were_written_between_the_batch_before_and_the_entry() -> None:
    database = Database(batches=[entry(n, p0=(n, n + 1)) for n in range(2)])
    batches = Batches(database, TICKETS)  # type: ignore[arg-type]
    (first,), (second,) = batches.of((0, 0)), batches.of((0, 1))
    noon_ms = int(NOON.timestamp() * 1000)

    # A minute more on both sides; an hour before a batch that is the first.
    assert first.window_ms == (noon_ms - HOUR_MS - 60_000, noon_ms + 60_000)
    assert second.window_ms == (noon_ms - 60_000, noon_ms + 120_000)
    # Not every number has an entry: Spark runs batches without messages.
    database["batches"].documents.append(entry(9, p0=(2, 3)))
    (last,) = Batches(database, TICKETS).of((0, 2))  # type: ignore[arg-type]
    assert last.window_ms == (noon_ms, noon_ms + 600_000)
