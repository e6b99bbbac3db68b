"""Files on this machine as three readers, `make show` and a count see them."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from settings import Settings
from spark_jobs.sinks.files.reading import delete_sets, read_set
from spark_jobs.sinks.files.rows import count_set, show_set, snapshot_rows
from spark_jobs.tickets import TICKETS
from tests.support.builders import ticket
from tests.support.file_batches import MakeBatch, batch_of, files_sink, visible

COLUMNS = [
    "ticket_id",
    "client_id",
    "created_at",
    "request",
    "request_type",
    "priority",
    "assigned_team",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Only what the files sink reads; no service runs for it."""
    return Settings(output_path=str(tmp_path / "output"), millrace_home=tmp_path / "home")


@pytest.fixture(scope="session")
def spark(job_spark: SparkSession) -> SparkSession:
    return job_spark


@pytest.fixture
def batch(spark: SparkSession) -> MakeBatch:
    """Builds the batch that the job would make of messages."""
    return partial(batch_of, spark)


NASTY = "He said \"no\", then\nleft; 名前 é \\ 'x' \r end"


def test_three_readers_see_the_same_rows_in_every_format(
    settings: Settings, batch: MakeBatch, spark: SparkSession
) -> None:
    every = settings.model_copy(update={"output_format": ("parquet", "json", "csv")})
    files_sink(every).write_batch(
        batch(
            ticket(ticket_id="A", request=NASTY),
            ticket(ticket_id="B", created_at="1900-01-01T00:00:00Z"),
            ticket(ticket_id="C", created_at="9999-12-31T23:59:59.999Z", request=", "),
        ),
        0,
    )
    expected = [
        ("A", "2026-11-22T10:11:12.345Z", NASTY),
        ("B", "1900-01-01T00:00:00.000Z", "My invoice is wrong"),
        ("C", "9999-12-31T23:59:59.999Z", ","),
    ]
    folder = Path(settings.output_path) / "tickets_with_assignment"

    parquet = pd.read_parquet(folder / "parquet").sort_values("ticket_id")
    assert list(parquet.columns) == [*COLUMNS, "day"]
    assert [(r.ticket_id, _iso(r.created_at), r.request) for r in parquet.itertuples()] == expected
    for form, read in (("json", _pandas_json), ("csv", _pandas_csv)):
        found = pd.concat([read(p) for p in sorted((folder / form).rglob("*.*"))])
        found = found.sort_values("ticket_id")
        assert list(found.columns) == COLUMNS
        assert [(r.ticket_id, r.created_at, r.request) for r in found.itertuples()] == expected

    for form, function in (
        ("parquet", "read_parquet('{}')"),
        (
            "json",
            "read_json('{}', columns={{ticket_id: 'TEXT', created_at: 'TEXT', request: 'TEXT'}})",
        ),
        ("csv", "read_csv('{}', header=true, quote='\"', escape='\"')"),
    ):
        source = function.format(folder / form / "**" / f"*.{form}")
        rows = duckdb.sql(
            f"SELECT ticket_id, strftime(created_at::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%gZ'), request"
            f" FROM {source} ORDER BY 1"
        ).fetchall()
        assert rows == expected, form

    for form in ("parquet", "json", "csv"):
        rows = read_set(spark, every, TICKETS.file_sets[0], form)
        assert rows.columns == [*COLUMNS, "_batch_id"]
        assert [
            (r.ticket_id, r.at, r.request)
            for r in rows.selectExpr(
                "ticket_id",
                "date_format(created_at, \"yyyy-MM-dd'T'HH:mm:ss.SSSXXX\") at",
                "request",
            )
            .orderBy("ticket_id")
            .collect()
        ] == expected, form
        (row,) = snapshot_rows(every, TICKETS.snapshots[1], form)
        assert row == {"request_type": "billing", "count": 3}


def _iso(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def _pandas_json(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False)


def _pandas_csv(path: Path) -> pd.DataFrame:
    # Python's `open` would make \r a line break.
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_rows_are_shown_newest_first_and_deleted_whole(
    settings: Settings, batch: MakeBatch
) -> None:
    written = files_sink(settings)
    written.write_batch(batch(ticket(ticket_id="A")), 0)
    written.write_batch(batch(ticket(ticket_id="B")), 1)

    shown = show_set(settings, "tickets_with_assignment", 1, (TICKETS,))
    assert [row["ticket_id"] for row in shown] == ["B"]
    (row,) = show_set(settings, "tickets_by_type", 5, (TICKETS,))
    assert row == {"request_type": "billing", "count": 2}

    delete_sets(settings, TICKETS)
    assert visible(settings) == []
    written.write_batch(batch(ticket(ticket_id="C")), 0)
    (row,) = show_set(settings, "tickets_by_type", 5, (TICKETS,))
    assert row["count"] == 1


@pytest.mark.parametrize("form", ["parquet", "json", "csv"])
def test_rows_of_a_set_are_counted_without_spark_line_feeds_in_them_or_not(
    settings: Settings, batch: MakeBatch, form: str
) -> None:
    settings = settings.model_copy(update={"output_format": (form,)})
    (every, urgent) = TICKETS.file_sets
    assert count_set(settings, every, form) == 0
    written = files_sink(settings)
    lines = ticket(ticket_id="A", request="two\nlines", priority="low")
    written.write_batch(batch(lines, ticket(ticket_id="B", priority="medium")), 0)
    written.write_batch(batch(ticket(ticket_id="C", priority="critical")), 1)

    assert count_set(settings, every, form) == 3
    assert count_set(settings, urgent, form) == 1


def test_files_are_shown_in_the_format_that_is_there_whatever_settings_say(
    settings: Settings, batch: MakeBatch
) -> None:
    both = settings.model_copy(update={"output_format": ("csv", "json")})
    files_sink(both).write_batch(batch(ticket(ticket_id="A")), 0)

    (row,) = show_set(settings, "tickets_with_assignment", 5, (TICKETS,))
    (count,) = show_set(settings, "tickets_by_type", 5, (TICKETS,))

    assert row["ticket_id"] == "A"
    assert count == {"request_type": "billing", "count": 1}


def test_reader_never_meets_a_broken_or_partial_file(settings: Settings, batch: MakeBatch) -> None:
    written = files_sink(settings)
    numbered = [batch(*(ticket(ticket_id=f"{n}-{i}") for i in range(50))) for n in range(6)]
    written.write_batch(numbered[0], 0)
    folder = Path(settings.output_path) / "tickets_with_assignment"
    seen: list[int] = []
    totals: list[int] = []
    ended = threading.Event()

    def poll() -> None:
        connection = duckdb.connect()
        while not ended.is_set():
            query = f"SELECT count(*) FROM read_parquet('{folder}/**/*.parquet')"
            seen.append(connection.execute(query).fetchall()[0][0])
            metrics = Path(settings.output_path) / "metrics"
            totals.append(int(pd.read_parquet(metrics)["total_tickets"][0]))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        for number, each in enumerate(numbered):
            written.write_batch(each, number)
    finally:
        ended.set()
        thread.join()

    assert {*seen} <= {50, 100, 150, 200, 250, 300}
    assert seen == sorted(seen)
    assert totals == sorted(totals)
    assert len({*totals}) > 2
