"""Reading Spark's checkpoint folder, in the format that Spark 3.5 writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from errors import JobError
from spark_jobs.state.checkpoint import Checkpoint, PlannedBatch
from spark_jobs.state.clock import earliest_clock, refuse_dropped_rows


def write_plan(folder: Path, batch_id: int, until: dict[str, int], **metadata: Any) -> None:
    base = {
        "batchWatermarkMs": 0,
        "batchTimestampMs": 1000,
        "conf": {"spark.sql.shuffle.partitions": "3"},
    }
    lines = ["v1", json.dumps(base | metadata), json.dumps({"topic": until})]
    path = folder / "offsets" / str(batch_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def test_new_folder_has_no_query_and_no_batch(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "absent")

    assert checkpoint.query_id() is None
    assert checkpoint.last_planned() is None
    assert checkpoint.last_committed() is None


def test_first_batch_begins_at_the_recorded_initial_offsets(tmp_path: Path) -> None:
    write_plan(tmp_path, 0, {"0": 12, "1": 5})
    initial = tmp_path / "sources" / "0" / "0"
    initial.parent.mkdir(parents=True)
    initial.write_bytes(b'\0v1\n{"topic":{"0":10,"1":5}}')

    assert Checkpoint(tmp_path).ranges(0) == {0: (10, 12), 1: (5, 5)}


def test_later_batch_begins_where_the_one_before_ended(tmp_path: Path) -> None:
    write_plan(tmp_path, 8, {"0": 12, "1": 5})
    write_plan(tmp_path, 9, {"0": 15, "1": 5, "2": 4})

    assert Checkpoint(tmp_path).ranges(9) == {0: (12, 15), 1: (5, 5), 2: (0, 4)}


def test_reading_goes_on_at_a_planned_batch_until_it_is_committed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.next_offsets() == {}
    write_plan(tmp_path, 4, {"0": 12, "1": 5})
    write_plan(tmp_path, 5, {"0": 15, "1": 5, "2": 4})
    (tmp_path / "commits").mkdir()
    (tmp_path / "commits" / "4").write_text("")

    assert checkpoint.next_offsets() == {0: 12, 1: 5, 2: 0}
    (tmp_path / "commits" / "5").write_text("")
    assert checkpoint.next_offsets() == {0: 15, 1: 5, 2: 4}


def test_batches_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    for batch_id in (2, 10, 9):
        write_plan(tmp_path, batch_id, {"0": 1})
    (tmp_path / "offsets" / ".10.crc").write_text("")

    assert Checkpoint(tmp_path).last_planned() == 10


@pytest.mark.parametrize("text", ["", "v1", "v1\n{}\n{}", "v1\nnot json\n{}"], ids=repr)
def test_unreadable_plan_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "offsets").mkdir()
    (tmp_path / "offsets" / "3").write_text(text)

    with pytest.raises(JobError, match=r"no readable plan of batch 3.*make reset"):
        Checkpoint(tmp_path).planned_batch(3)


@pytest.mark.parametrize(
    ("watermark_ms", "clock_ms", "refused"),
    [(0, 5, False), (4, 5, False), (5, 5, True), (6, 5, True)],
)
def test_batch_behind_the_watermark_is_refused(
    watermark_ms: int, clock_ms: int, refused: bool
) -> None:
    plan = PlannedBatch(7, "topic", {0: 1}, clock_ms, watermark_ms, 3)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    if refused:
        with pytest.raises(JobError, match="stopped before anything was written"):
            refuse_dropped_rows(plan, epoch)
    else:
        refuse_dropped_rows(plan, epoch)


def test_clock_never_starts_behind_the_newest_time_that_was_seen(tmp_path: Path) -> None:
    # 2030-01-01T00:00:00Z
    write_plan(tmp_path, 0, {"0": 1}, batchWatermarkMs=1_893_456_000_000)

    assert earliest_clock(Checkpoint(tmp_path), days=7) == datetime(2030, 1, 4, 12, tzinfo=UTC)
    assert earliest_clock(Checkpoint(tmp_path / "new"), days=7) == datetime(1970, 1, 1, tzinfo=UTC)
