"""Files on this machine: what three readers see, what a repeated or broken-off batch leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from errors import SinkRejected
from schemas.spark import MESSAGE_SCHEMA
from settings import PROJECT_ROOT, Settings
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.files.reading import applied_batch, delete_sets, read_set
from spark_jobs.sinks.files.rows import count_set, show_set, snapshot_rows
from spark_jobs.sinks.files.sink import FilesSink, sink
from spark_jobs.tickets import TICKETS
from tests.support.builders import message, ticket

pytestmark = pytest.mark.extended

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
COLUMNS = [
    "ticket_id",
    "client_id",
    "created_at",
    "request",
    "request_type",
    "priority",
    "assigned_team",
]
MakeBatch = Callable[..., Batch]


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

    def build(*records: Any) -> Batch:
        return batch_of(spark, *records)

    return build


def batch_of(spark: SparkSession, *records: Any) -> Batch:
    # Late, as tickets from after their message are rejected.
    at = datetime(9999, 12, 31, 23, tzinfo=UTC)
    rows = [message(record, offset=i, at=at) for i, record in enumerate(records)]
    read = spark.createDataFrame(rows, MESSAGE_SCHEMA)
    classified = TICKETS.classify(read, Settings()).cache()
    summary = TICKETS.roll_up(row.asDict() for row in TICKETS.summarise(classified).collect())
    return Batch(classified.filter("outcome = 'valid'"), summary, QUERY)


def files_sink(settings: Settings) -> FilesSink:
    made = sink(TICKETS, settings, None)  # type: ignore[arg-type]
    assert isinstance(made, FilesSink)
    return made


def visible(settings: Settings) -> list[str]:
    """Paths that a reader sees: nothing below a name that begins with `_` or `.`."""
    root = Path(settings.output_path)
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(
        str(path) for path in paths if not any(part.startswith(("_", ".")) for part in path.parts)
    )


def ids(rows: DataFrame) -> list[str]:
    return sorted(row.ticket_id for row in rows.collect())


def test_batch_is_one_file_for_each_set_and_day(settings: Settings, batch: MakeBatch) -> None:
    files_sink(settings).write_batch(
        batch(
            ticket(ticket_id="A"),
            ticket(ticket_id="B", created_at="2026-11-21T23:59:59.999Z", priority="low"),
            ticket(ticket_id="C", created_at="2026-11-22T00:30:00+01:00", priority="critical"),
        ),
        7,
    )

    assert visible(settings) == [
        "high_priority_tickets/day=2026-11-21/5f1d7c2e-0000000007-000.parquet",
        "high_priority_tickets/day=2026-11-22/5f1d7c2e-0000000007-000.parquet",
        "metrics/metrics.parquet",
        "tickets_by_priority/tickets_by_priority.parquet",
        "tickets_by_type/tickets_by_type.parquet",
        "tickets_with_assignment/day=2026-11-21/5f1d7c2e-0000000007-000.parquet",
        "tickets_with_assignment/day=2026-11-22/5f1d7c2e-0000000007-000.parquet",
    ]
    leftovers = [p for p in Path(settings.output_path).rglob("*") if p.suffix == ".crc"]
    assert leftovers == []


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
        assert rows.columns == [*COLUMNS, "batch_id"]
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
        rows = snapshot_rows(every, TICKETS.snapshots[1], form)
        assert rows == [{"request_type": "billing", "count": 3}]


def _iso(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def _pandas_json(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False)


def _pandas_csv(path: Path) -> pd.DataFrame:
    # Python's `open` would make \r a line break.
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_snapshots_count_all_batches_and_each_once(settings: Settings, batch: MakeBatch) -> None:
    written = files_sink(settings)
    first = batch(
        ticket(ticket_id="A", client_id="C1", priority="critical"),
        ticket(ticket_id="B", client_id="C2", request_type="general"),
    )
    second = batch(ticket(ticket_id="C", client_id="C1", created_at="2026-11-20T00:00:00Z"))
    for number, each in [(0, first), (0, first), (1, second), (1, second)]:
        written.write_batch(each, number)

    metrics, by_type, by_priority = TICKETS.snapshots
    assert snapshot_rows(settings, metrics, "parquet") == [
        {
            "total_tickets": 3,
            "billing_count": 2,
            "technical_count": 0,
            "account_count": 0,
            "general_count": 1,
            "critical_priority_count": 1,
            "unique_clients": 2,
        }
    ]
    assert snapshot_rows(settings, by_type, "parquet") == [
        {"request_type": "billing", "count": 2},
        {"request_type": "general", "count": 1},
    ]
    assert snapshot_rows(settings, by_priority, "parquet") == [
        {"priority": "critical", "count": 1},
        {"priority": "high", "count": 2},
    ]
    assert pd.read_parquet(Path(settings.output_path) / "metrics")["total_tickets"].tolist() == [3]


def test_batch_that_comes_again_with_other_parts_leaves_none_of_the_former(
    settings: Settings, batch: MakeBatch, spark: SparkSession
) -> None:
    written = files_sink(settings)
    written.write_batch(batch(ticket(ticket_id="A", created_at="2026-11-20T00:00:00Z")), 0)
    written.write_batch(batch(ticket(ticket_id="A", created_at="2026-11-21T00:00:00Z")), 0)

    assert [p for p in visible(settings) if "day=" in p] == [
        "high_priority_tickets/day=2026-11-21/5f1d7c2e-0000000000-000.parquet",
        "tickets_with_assignment/day=2026-11-21/5f1d7c2e-0000000000-000.parquet",
    ]


def test_row_tells_its_batch(settings: Settings, batch: MakeBatch, spark: SparkSession) -> None:
    written = files_sink(settings)
    assert applied_batch(settings, TICKETS) is None
    assert read_set(spark, settings, TICKETS.file_sets[0], "parquet").collect() == []
    written.write_batch(batch(ticket(ticket_id="A")), 3)
    written.write_batch(batch(ticket(ticket_id="B")), 12)

    rows = read_set(spark, settings, TICKETS.file_sets[0], "parquet").collect()
    assert sorted((row.ticket_id, row.batch_id) for row in rows) == [("A", 3), ("B", 12)]
    assert applied_batch(settings, TICKETS) == 12


def test_other_formats_than_before_are_refused(settings: Settings, batch: MakeBatch) -> None:
    files_sink(settings).write_batch(batch(ticket()), 0)

    with pytest.raises(SinkRejected, match=r"are parquet, OUTPUT_FORMAT is csv\. Set") as refused:
        files_sink(settings.model_copy(update={"output_format": ("csv",)})).check()
    assert "make reset PIPELINE=tickets" in str(refused.value)
    files_sink(settings).check()


def test_place_that_cannot_be_written_is_refused_without_telling_a_record(
    settings: Settings, batch: MakeBatch
) -> None:
    Path(settings.output_path).write_text("a file, not a folder")

    with pytest.raises(SinkRejected, match="OUTPUT_PATH"):
        files_sink(settings).check()
    with pytest.raises(SinkRejected, match="Nothing is lost") as refused:
        files_sink(settings).write_batch(batch(ticket(request="never to be told")), 0)
    assert "never to be told" not in str(refused.value)


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


CRASH = """
import sys
from pathlib import Path
from settings import Settings
from tests.integration.test_files import batch_of, files_sink
from tests.support.file_sessions import plain_session
from tests.support.builders import ticket
settings = Settings(output_path=sys.argv[1], output_format=("parquet", "csv"))
spark = plain_session(Path(sys.argv[2]))
records = [ticket(ticket_id="A"), ticket(ticket_id="B", created_at="2026-11-20T00:00:00Z")]
files_sink(settings).write_batch(batch_of(spark, *records), 0)
"""


@pytest.mark.parametrize(
    "point", ["in-files-publish", "in-files-publish:3", "between-files-and-snapshots"]
)
def test_batch_that_broke_off_is_whole_after_it_came_again(
    settings: Settings, batch: MakeBatch, spark: SparkSession, tmp_path: Path, point: str
) -> None:
    several = settings.model_copy(update={"output_format": ("parquet", "csv")})
    died = subprocess.run(
        [sys.executable, "-c", CRASH, settings.output_path, str(tmp_path / "scratch")],
        cwd=PROJECT_ROOT,
        env=os.environ | {"MILLRACE_FAULT": point, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    assert not [p for p in visible(several) if p.startswith("metrics")]

    records = [ticket(ticket_id="A"), ticket(ticket_id="B", created_at="2026-11-20T00:00:00Z")]
    files_sink(several).write_batch(batch(*records), 0)

    for file_set in TICKETS.file_sets:
        for form in several.output_format:
            assert ids(read_set(spark, several, file_set, form)) == ["A", "B"]
    (row,) = snapshot_rows(several, TICKETS.snapshots[1], "csv")
    assert row == {"request_type": "billing", "count": 2}
    staging = Path(settings.output_path) / "_staging"
    assert [p for p in staging.rglob("*") if p.is_file()] == []


def test_manifest_that_was_changed_from_outside_is_told(
    settings: Settings, batch: MakeBatch
) -> None:
    files_sink(settings).write_batch(batch(ticket()), 0)
    path = Path(settings.output_path) / "_millrace" / "tickets.json"
    path.write_text(json.dumps({"version": 1}))

    with pytest.raises(SinkRejected, match="make reset PIPELINE=tickets"):
        files_sink(settings).check()
