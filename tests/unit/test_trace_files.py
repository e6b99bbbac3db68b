"""Rows of a traced record in the files that its batch wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errors import MillraceError
from operations.masking import MASK
from operations.overview.stores import OpenStores
from operations.trace import files
from operations.trace.batches import ReadBy
from operations.trace.files import find_in_files
from operations.trace.in_stores import InStores
from operations.trace.model import StoredRow
from operations.trace.notes import Notes
from settings import Settings
from spark_jobs.registry import built_in
from spark_jobs.sinks.files.formats import arrow_schema
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.state.ledger import Counts, Entry

TICKETS, _, CUSTOMERS = built_in()
ALL, HIGH = TICKETS.file_sets
USA, ALERTS = CUSTOMERS.file_sets
ENTRY = Entry("tickets", "client_tickets", "0123abcd-query", 42, {0: (0, 9)}, Counts(), ())
DAY = "day=2026-11-22"
CREATED = datetime.fromisoformat("2026-11-22T10:11:12.345")
KNOWN = {
    "ticket_id": "A-1",
    "created_at": CREATED,
    "kafka_topic": "client_tickets",
    "kafka_partition": 0,
    "kafka_offset": 4,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, output_path=str(tmp_path), output_format=("parquet",))


def write(settings: Settings, path: str, file_set: Any, *rows: dict[str, Any]) -> None:
    target = Path(settings.output_path) / file_set.name / path
    target.parent.mkdir(parents=True, exist_ok=True)
    schema = arrow_schema(file_set.schema, "parquet")
    whole = [{name: row.get(name) for name in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(whole, schema), target)


def found(settings: Settings, file_set: Any = ALL, **known: Any) -> list[StoredRow]:
    pipeline = TICKETS if file_set in TICKETS.file_sets else CUSTOMERS
    return find_in_files(settings, pipeline, file_set, ENTRY, KNOWN | known)


def test_only_the_files_of_the_batch_are_read(settings: Settings) -> None:
    row = {"ticket_id": "A-1", "request": "My invoice", "assigned_team": "Billing"}
    others = [{"ticket_id": "A-2"}, {"ticket_id": "A-10"}]
    write(settings, f"{DAY}/0123abcd-0000000042-000.parquet", ALL, *others, row)
    # Another batch, another query: damaged, so that reading them would show.
    for name in ("0123abcd-0000000043-000.parquet", "ffffabcd-0000000042-000.parquet"):
        (Path(settings.output_path) / ALL.name / DAY / name).write_text("no Parquet")

    (one,) = found(settings)

    assert (one.store, one.place, one.source) == ("files", "tickets_with_assignment", None)
    assert one.values["ticket_id"] == "A-1"
    assert (one.values["request"], one.values["assigned_team"]) == (MASK, "Billing")
    assert found(settings, ticket_id="A-3") == []


def test_merged_files_of_the_day_are_read_when_the_batch_has_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"ticket_id": "A-1"}
    write(settings, f"{DAY}/compacted-0123456789ab-000.parquet", ALL, row)
    write(settings, "day=2026-11-23/compacted-0123456789ab-000.parquet", ALL, row, row)

    assert len(found(settings)) == 1
    # Without the day, all days are read.
    assert len(found(settings, created_at=None)) == 3
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    with pytest.raises(MillraceError, match="large"):
        found(settings)


def test_alert_is_found_by_its_message_and_names_it(settings: Settings) -> None:
    alert = {"customer_id": "7", "kafka_topic": "customers-raw", "kafka_partition": 0}
    name = "0123abcd-0000000042-000.parquet"
    rows = ({**alert, "kafka_offset": 4, "email": "a@b"}, {**alert, "kafka_offset": 5})
    write(settings, name, ALERTS, *rows)
    entry = replace(ENTRY, topic="customers-raw")

    # Its id need not be known.
    known = {name: value for name, value in KNOWN.items() if name.startswith("kafka")}
    (row,) = find_in_files(settings, CUSTOMERS, ALERTS, entry, known)

    assert (row.values["kafka_offset"], row.source) == (4, "customers-raw/0/4")
    assert row.values["email"] == MASK
    with pytest.raises(MillraceError, match=r"^the record's id is not known$"):
        find_in_files(settings, CUSTOMERS, USA, entry, known)


def test_each_arrival_of_a_batch_is_looked_up_where_rows_name_their_message(
    settings: Settings,
) -> None:
    alert = {"customer_id": "7", "kafka_topic": "customers-raw", "kafka_partition": 0}
    rows = ({**alert, "kafka_offset": 4}, {**alert, "kafka_offset": 5})
    write(settings, "0123abcd-0000000042-000.parquet", ALERTS, *rows)
    asked = InStores(Notes(settings), OpenStores(settings, 1), CUSTOMERS)
    asked.kinds = {FilesSink: []}
    read_by = ReadBy(replace(ENTRY, topic="customers-raw"), None)

    for offset in (4, 5, 5):
        asked.find_in_files(read_by, KNOWN | {"kafka_offset": offset, "kafka_topic": "x"})

    assert [row.values["kafka_offset"] for row in asked.rows] == [4, 5]


@pytest.mark.parametrize(
    ("place", "why"),
    [("hdfs://nn:8020/out", "only Spark reads files on HDFS"), (None, "a file cannot be read")],
)
def test_files_that_cannot_be_read_are_named_without_their_content(
    settings: Settings, place: str | None, why: str
) -> None:
    folder = Path(settings.output_path) / ALL.name / DAY
    folder.mkdir(parents=True)
    (folder / "0123abcd-0000000042-000.parquet").write_text("Jane Doe")
    elsewhere = settings.model_copy(update={"output_path": place} if place else {})

    with pytest.raises(MillraceError, match=why) as caught:
        found(elsewhere)
    assert "Jane" not in str(caught.value)
