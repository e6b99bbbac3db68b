"""When the machine's clock is believed, and what is done when it is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from errors import JobError
from spark_jobs.state.checkpoint import Checkpoint, PlannedBatch
from spark_jobs.state.clock import (
    Moment,
    in_words,
    refuse_clock_ahead,
    set_planned_batch_right,
    tolerance,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def planned(at: datetime) -> PlannedBatch:
    return PlannedBatch(7, "topic", {0: 1}, int(at.timestamp() * 1000), 0, 3)


def test_uptime_shows_how_far_the_clock_was_set_ahead() -> None:
    before = Moment(NOON, "boot", 1000.0)

    assert before.time_ahead(Moment(NOON + YEAR + timedelta(seconds=60), "boot", 1060.0)) == YEAR
    assert before.time_ahead(Moment(NOON + timedelta(seconds=60), "boot", 1060.0)) == timedelta()
    assert before.time_ahead(Moment(NOON - YEAR, "boot", 1060.0)) == timedelta()


def test_nothing_is_known_after_the_machine_was_restarted() -> None:
    assert Moment(NOON, "one", 1000.0).time_ahead(Moment(NOON + YEAR, "other", 5.0)) == timedelta()
    assert Moment(NOON).time_ahead(Moment(NOON + YEAR)) == timedelta()


def test_this_moment_is_known_on_linux() -> None:
    moment = Moment.now()

    assert moment.boot_id
    assert moment.uptime_seconds > 0
    assert moment.time_ahead(Moment.now()) < timedelta(seconds=1)


@pytest.mark.parametrize(("ahead", "refused"), [(timedelta(hours=23), False), (YEAR, True)])
def test_batch_under_a_clock_far_ahead_is_refused(ahead: timedelta, refused: bool) -> None:
    started, now = Moment(NOON, "boot", 1000.0), Moment(NOON + ahead, "boot", 1010.0)

    if refused:
        with pytest.raises(JobError, match=r"set 365 days ahead .* Batch 7 was stopped before"):
            refuse_clock_ahead(planned(NOON + ahead), started, now, days=7)
    else:
        refuse_clock_ahead(planned(NOON + ahead), started, now, days=7)


def test_days_of_deduplication_set_the_tolerance() -> None:
    assert tolerance(7) == timedelta(days=1)
    assert tolerance(28) == timedelta(days=4)
    assert in_words(timedelta(hours=3)) == "3 hours"
    assert in_words(timedelta(days=3, hours=1)) == "3 days"


def checkpoint_with_batch(path: Path, at: datetime, *, committed: bool) -> Checkpoint:
    metadata = {
        "batchWatermarkMs": 5,
        "batchTimestampMs": int(at.timestamp() * 1000),
        "conf": {"spark.sql.shuffle.partitions": "3"},
    }
    for name in ("offsets", "commits"):
        (path / name).mkdir()
    log = path / "offsets" / "4"
    log.write_text(f'v1\n{json.dumps(metadata)}\n{{"topic":{{"0":9}}}}')
    (path / "offsets" / ".4.crc").write_bytes(b"crc")
    if committed:
        (path / "commits" / "4").write_text("v1\n{}")
    return Checkpoint(path)


def test_batch_planned_in_the_future_gets_this_time_and_keeps_its_offsets(tmp_path: Path) -> None:
    checkpoint = checkpoint_with_batch(tmp_path, NOON + YEAR, committed=False)

    set_planned_batch_right(checkpoint, Moment(NOON), days=7)

    assert checkpoint.planned_batch(4) == PlannedBatch(4, "topic", {0: 9}, 1_795_435_200_000, 5, 3)
    assert not (tmp_path / "offsets" / ".4.crc").exists()


@pytest.mark.parametrize(
    ("at", "committed"), [(NOON, False), (NOON - YEAR, False), (NOON + YEAR, True)]
)
def test_other_batches_keep_their_time(tmp_path: Path, at: datetime, committed: bool) -> None:
    checkpoint = checkpoint_with_batch(tmp_path, at, committed=committed)
    before = (tmp_path / "offsets" / "4").read_text()

    set_planned_batch_right(checkpoint, Moment(NOON), days=7)

    assert (tmp_path / "offsets" / "4").read_text() == before
