"""Which crashes are chosen, and how the named points strike."""

from __future__ import annotations

from collections import Counter

import pytest

from errors import JobError
from operations.chaos.chaos import Round, choose_faults, report
from operations.chaos.fault_actions import FAULTS, PASSES
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in
from spark_jobs.state import fault_points as faults
from spark_jobs.targets import Table


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Points at which a process would have died."""
    points: list[str] = []
    monkeypatch.setattr(faults, "die", points.append)
    monkeypatch.setattr(faults, "_reached", Counter())
    return points


def test_every_kind_of_crash_comes_before_any_comes_again() -> None:
    names = [fault.name for fault in choose_faults(len(FAULTS) + 2, 1, built_in())]

    assert len(names) == len(FAULTS) + 2
    assert set(names[: len(FAULTS)]) == {fault.name for fault in FAULTS}


def test_twenty_rounds_strike_at_every_named_point() -> None:
    struck = [fault.environment.get(faults.VARIABLE) for fault in choose_faults(20, 3, built_in())]

    assert set(faults.FAULT_POINTS) <= set(struck)
    assert len(struck) == 20


def test_seed_decides_the_order() -> None:
    assert choose_faults(20, 7, built_in()) == choose_faults(20, 7, built_in())
    assert choose_faults(20, 7, built_in()) != choose_faults(20, 8, built_in())


@pytest.mark.parametrize("rounds", [1, 12, 40])
def test_only_what_an_enabled_pipeline_can_meet_is_chosen(rounds: int) -> None:
    """Its records go to Cassandra alone."""
    plain = Pipeline("plain", tables=(Table("plain.rows"),))

    names = [fault.name for fault in choose_faults(rounds, 1, [plain])]

    stores = ("files", "snapshots", "postgres", "topics", "tables", "mongodb")
    assert len(names) == rounds
    assert [n for n in names if n.startswith("at ") and any(s in n for s in stores)] == []
    assert "PostgreSQL killed" not in names


def test_every_fault_point_is_among_the_crashes() -> None:
    struck = {fault.environment.get(faults.VARIABLE) for fault in FAULTS}

    assert set(faults.FAULT_POINTS) <= struck


def test_each_pipeline_is_struck_where_its_batches_pass() -> None:
    struck = {fault.name: [p.name for p in built_in() if fault.affects(p)] for fault in FAULTS}

    assert struck["at before-topics"] == ["customers"]
    assert struck["at in-files-publish"] == ["tickets", "customers"]
    assert struck["at between-files-and-snapshots"] == ["tickets"]
    assert struck["at before-dead-letters"] == ["tickets", "profiles"]
    assert struck["at before-ledger"] == ["tickets", "profiles", "customers"]
    assert struck["Cassandra killed"] == ["tickets", "profiles"]
    assert {*PASSES} <= {*faults.FAULT_POINTS}


def test_one_round_that_is_not_exact_fails_all(capsys: pytest.CaptureFixture[str]) -> None:
    right = Round(1, "Kafka killed", "tickets", 1700, 30.0, [])
    wrong = Round(2, "at before-ledger", "profiles", 1700, 30.0, ["the count is 3 (+1)"])

    assert report([right], 5, Settings()) == 0
    assert report([right, wrong], 5, Settings()) == 1
    assert "make chaos ROUNDS=2 SEED=5" in capsys.readouterr().out


def test_points_do_nothing_unless_named(monkeypatch: pytest.MonkeyPatch, deaths: list[str]) -> None:
    monkeypatch.delenv(faults.VARIABLE, raising=False)
    faults.fault_point("between-tables")
    assert list(faults.parts_around_fault("in-mongodb-bulk", [1, 2, 3])) == [[1, 2, 3]]

    monkeypatch.setenv(faults.VARIABLE, "between-tables")
    faults.fault_point("before-ledger")
    assert deaths == []
    faults.fault_point("between-tables")
    assert deaths == ["between-tables"]


def test_point_strikes_at_the_time_asked_for(
    monkeypatch: pytest.MonkeyPatch, deaths: list[str]
) -> None:
    monkeypatch.setenv(faults.VARIABLE, "in-mongodb-bulk:2")

    assert list(faults.parts_around_fault("in-mongodb-bulk", [1, 2, 3])) == [[1, 2, 3]]
    assert list(faults.parts_around_fault("in-mongodb-bulk", [4, 5, 6])) == [[4, 5]]
    assert deaths == ["in-mongodb-bulk"]


@pytest.mark.parametrize("value", ["between-table", "between-tables:x", "between-tables:0"])
def test_misspelt_point_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(faults.VARIABLE, value)

    with pytest.raises(JobError, match=r"MILLRACE_FAULT.*between-tables"):
        faults.check_fault()


def test_known_point_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(faults.VARIABLE, "between-tables:3")
    faults.check_fault()
    monkeypatch.delenv(faults.VARIABLE)
    faults.check_fault()
