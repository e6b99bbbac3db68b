"""What a replay means by its texts, which part of a pipeline it repairs, and its batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from errors import JobError
from operations.repair.batches import ReplayBatch, one_query, remembered, unledgered_batches
from operations.repair.part import of_part
from operations.repair.range import ReplayRequest, parse_place, understood
from settings import Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.registry import built_in
from spark_jobs.state.checkpoint import Checkpoint
from spark_jobs.state.clock import Moment
from spark_jobs.state.ledger import Counts, Entry
from spark_jobs.state.offset_ranges import overlap
from tests.support.fake_mongo import Database
from tests.unit.test_checkpoint import write_plan


def entry(batch_id: int, offsets: dict[int, tuple[int, int]], **changes: Any) -> Entry:
    fields = {
        "pipeline": "tickets",
        "topic": "topic",
        "query_id": "q",
        "counts": Counts(),
        "sinks": ("cassandra", "mongodb"),
    }
    return Entry(batch_id=batch_id, offsets=offsets, **(fields | changes))


def commit(folder: Path, batch_id: int) -> None:
    (folder / "commits").mkdir(exist_ok=True)
    (folder / "commits" / str(batch_id)).write_text("v1\n{}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("120", 120),
        ("0:120", {0: 120}),
        ("0:120,2:80", {0: 120, 2: 80}),
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T11:00:00+01:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
    ],
)
def test_place_on_a_topic_is_understood(text: str, place: Any) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["", "-1", "yesterday", "0:", "0:1,", "0:1,0:2", "1.5", "٣", "2026-13-01", "0:1;1:2"]
)
def test_anything_else_is_refused_as_a_place(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is not shown
        parse_place(text)


def test_replay_to_a_sink_that_is_not_named_says_how_to_name_it() -> None:
    with pytest.raises(JobError) as caught:
        understood(
            Settings(stack="external"),
            "client_tickets",
            "earliest",
            "latest",
            "postgres",
            built_in(),
        )

    assert str(caught.value).endswith(
        "To bring it up to date: `STACK=external SINKS=cassandra,mongodb,files,postgres"
        " .venv/bin/millrace replay --topic client_tickets --sink postgres`"
    )


def test_all_faults_of_a_request_are_listed_together() -> None:
    with pytest.raises(JobError) as caught:
        understood(Settings(), "tickets", "sometime", "never", "postgres", built_in())

    assert str(caught.value).splitlines() == [
        "Nothing was replayed.",
        "  --topic: no pipeline reads `tickets`. Did you mean `client_tickets`? Valid:"
        " client_tickets, users_profiles, customers-raw",
        "  --sink: `postgres` is not in SINKS. Valid: cassandra, mongodb, files",
        "  --from: invalid position `sometime`; valid: earliest, latest, an offset (120), offsets"
        " by partition (0:120,1:80), a time (2026-11-22T10:00:00Z)",
        "  --to: invalid position `never`; valid: earliest, latest, an offset (120), offsets by"
        " partition (0:120,1:80), a time (2026-11-22T10:00:00Z)",
    ]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("5", "4"),
        ("0:5,1:0", "0:4,1:9"),
        ("latest", "earliest"),
        ("2026-11-22T10:00Z", "2026-11-22T10:30+01:00"),
    ],
)
def test_range_that_ends_before_it_begins_is_refused(start: str, end: str) -> None:
    with pytest.raises(JobError, match="is after --to"):
        understood(Settings(), "client_tickets", start, end, "mongodb", built_in())


def test_offsets_whose_loss_was_accepted_were_not_read() -> None:
    batch = ReplayBatch.of(entry(4, {0: (10, 20), 1: (5, 9)}, accepted_loss={0: (10, 13)}))

    assert batch.offsets == {0: (10, 20), 1: (5, 9)}
    assert batch.read == {0: (13, 20), 1: (5, 9)}


def test_cut_ranges_hold_only_what_is_common() -> None:
    ranges = {0: (0, 10), 1: (0, 10), 2: (5, 6), 3: (0, 1)}

    assert overlap(ranges, {0: (3, 7), 1: (8, 20), 2: (6, 9)}) == {0: (3, 7), 1: (8, 10)}


def test_batches_that_the_ledger_lacks_come_from_the_checkpoint(tmp_path: Path) -> None:
    write_plan(tmp_path, 1, {"0": 7, "1": 2})
    write_plan(tmp_path, 2, {"0": 7, "1": 2})
    write_plan(tmp_path, 3, {"0": 9, "1": 2, "2": 4})
    write_plan(tmp_path, 4, {"0": 30, "1": 30, "2": 30})
    commit(tmp_path, 3)
    # The plan of batch 0 is no longer kept: the ledger says where it ended.
    entries = [entry(0, {0: (0, 5), 1: (0, 2)})]

    found = unledgered_batches(entries, Checkpoint(tmp_path), "tickets")

    assert [(batch.batch_id, batch.offsets, batch.entry) for batch in found] == [
        (1, {0: (5, 7), 1: (2, 2)}, None),
        (3, {0: (7, 9), 1: (2, 2), 2: (0, 4)}, None),
    ]


def test_ledger_that_is_up_to_date_lacks_nothing(tmp_path: Path) -> None:
    write_plan(tmp_path, 7, {"0": 5})
    write_plan(tmp_path, 8, {"0": 5})
    commit(tmp_path, 8)

    assert unledgered_batches([entry(6, {0: (0, 5)})], Checkpoint(tmp_path), "tickets") == []
    assert unledgered_batches([entry(9, {0: (0, 9)})], Checkpoint(tmp_path), "tickets") == []


def test_plans_that_are_no_longer_kept_are_named_with_the_fix(tmp_path: Path) -> None:
    write_plan(tmp_path, 9, {"0": 50})
    commit(tmp_path, 9)

    with pytest.raises(JobError, match=r"committed batches 3 to 9,.*make reset PIPELINE=tickets"):
        unledgered_batches([entry(2, {0: (0, 5)})], Checkpoint(tmp_path), "tickets")


def test_checkpoint_that_ends_before_the_ledger_is_refused(tmp_path: Path) -> None:
    write_plan(tmp_path, 3, {"0": 4, "1": 9})
    commit(tmp_path, 3)

    with pytest.raises(JobError, match="batch 3 of the checkpoint ends before the ledger does"):
        unledgered_batches([entry(2, {0: (0, 5), 1: (0, 5)})], Checkpoint(tmp_path), "tickets")


def test_ledger_of_another_query_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_text('{"id":"other"}')

    with pytest.raises(JobError, match="belongs to another query"):
        one_query([entry(0, {0: (0, 1)})], Checkpoint(tmp_path), "tickets")
    with pytest.raises(JobError, match="is gone"):
        one_query([entry(0, {0: (0, 1)})], Checkpoint(tmp_path / "absent"), "tickets")
    with pytest.raises(JobError, match="there is neither a checkpoint"):
        one_query([], Checkpoint(tmp_path / "absent"), "tickets")


def customers(claims: dict[str, str], **ledgers: tuple[str, ...]) -> Database:
    """Jobs of `customers` that have run: sink -> job, and job (with `_`) -> sinks of its ledger."""
    feeds = [{"_id": f"customers/{sink}", "pipeline": job} for sink, job in claims.items()]
    batches = [
        entry(0, {0: (0, 5)}, pipeline=name.replace("_", "-"), sinks=sinks).document(
            datetime(2026, 11, 22, tzinfo=UTC)
        )
        for name, sinks in ledgers.items()
    ]
    return Database(feeds=feeds, batches=batches)


def part_of(
    database: Database, sink: str, home: Path, *sinks: str
) -> tuple[str, tuple[str, ...], int]:
    """Name, sinks and number of topics of the part that a replay repairs."""
    settings = Settings(sinks=sinks, millrace_home=home)
    request = ReplayRequest(CUSTOMERS, "earliest", "latest", sink)
    own, found = of_part(settings, database, request)  # type: ignore[arg-type]
    return found.pipeline.name, own.sinks, len(found.pipeline.topics)


TWO_JOBS = {"files": "customers", "postgres": "customers-postgres", "topics": "customers"}


def test_replay_repairs_the_part_whose_job_feeds_the_sink(tmp_path: Path) -> None:
    database = customers(TWO_JOBS, customers=("files", "topics"), customers_postgres=("postgres",))
    usual = ("cassandra", "mongodb", "files", "postgres")

    assert part_of(database, "postgres", tmp_path, *usual) == (
        "customers-postgres",
        ("postgres",),
        0,
    )
    assert part_of(database, "files", tmp_path, *usual) == (
        "customers",
        ("cassandra", "mongodb", "files"),
        2,
    )


def test_sinks_say_which_of_several_ledgers_is_repaired(tmp_path: Path) -> None:
    database = customers(TWO_JOBS, customers=("files", "topics"), customers_postgres=("postgres",))

    assert part_of(database, "mongodb", tmp_path, "postgres")[0] == "customers-postgres"
    assert part_of(database, "mongodb", tmp_path, "cassandra", "mongodb", "files")[0] == "customers"
    with pytest.raises(JobError) as caught:
        part_of(database, "mongodb", tmp_path, "files", "postgres")

    replay = "millrace replay --topic customers-raw --sink mongodb`"
    for sinks in ("files", "postgres"):
        assert f"SINKS={sinks} " in str(caught.value)
    assert str(caught.value).count(replay) == 2


def test_only_ledger_of_a_pipeline_is_repaired_whatever_sinks_are_set(tmp_path: Path) -> None:
    claims = {"postgres": "customers-postgres", "topics": "customers-postgres"}
    database = customers(claims, customers_postgres=("postgres", "topics"))

    assert part_of(database, "mongodb", tmp_path, "cassandra", "files") == (
        "customers-postgres",
        ("postgres",),
        2,
    )


def test_part_whose_ledger_is_lost_is_known_by_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "customers-postgres" / "v1"
    folder.mkdir(parents=True)
    (folder / "metadata").write_text('{"id":"q"}')

    assert part_of(Database(), "mongodb", tmp_path, "files", "postgres") == (
        "customers-postgres",
        ("postgres",),
        2,
    )


def test_sink_that_no_job_feeds_yet_is_refused_if_only_parts_have_run(tmp_path: Path) -> None:
    claims = {"files": "customers-files", "topics": "customers-files"}
    database = customers(claims, customers_files=("files", "topics"))

    with pytest.raises(JobError) as caught:
        part_of(database, "postgres", tmp_path, "files", "postgres")

    assert "no job that has run feeds postgres: `customers-files` (files, topics)." in str(
        caught.value
    )
    assert "job customers --available-now --sinks postgres`" in str(caught.value)


def test_new_sink_belongs_to_the_whole_pipeline_if_no_job_of_its_own_feeds_it(
    tmp_path: Path,
) -> None:
    claims = {"files": "customers", "topics": "customers"}
    database = customers(claims, customers=("files", "topics"))

    assert part_of(database, "postgres", tmp_path, "files", "postgres") == (
        "customers",
        ("files", "postgres"),
        2,
    )


def test_reset_of_a_part_is_that_of_its_pipeline() -> None:
    with pytest.raises(JobError, match=r"make reset PIPELINE=customers`"):
        one_query([entry(0, {0: (0, 1)})], Checkpoint(Path("absent")), "customers-postgres")


def confirmed_on(*days: float | None) -> list[Entry]:
    """Batches, confirmed so many days after a first of November."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    return [
        entry(n, {0: (n, n + 1)}, moment=None if d is None else Moment(begin + timedelta(days=d)))
        for n, d in enumerate(days)
    ]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        # The job ran on: 3 days before the last but one.
        ((0, 0.9, 1.1, 4, 4.1), [2, 3, 4]),
        # It paused: at its last batch it still knew the ids from before the pause.
        ((0, 1, 3.5, 30, 30.01), [1, 2, 3, 4]),
        ((5,), [0]),
        # Nothing says when some were confirmed.
        ((None, 0, None, 5, 6), [2, 3, 4]),
        ((0, 4.9, 5, None), [1, 2, 3]),
        ((None, None), [0, 1]),
        ((), []),
    ],
)
def test_batches_whose_ids_the_job_still_knew_are_those_of_the_days_before(
    days: tuple[float | None, ...], expected: list[int]
) -> None:
    assert [each.batch_id for each in remembered(confirmed_on(*days), 3)] == expected
