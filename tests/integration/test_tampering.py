"""`make verify` judged by tampering: whatever is changed behind its back, it says where.

Each tampering is made alone, in a small finished run, and taken back after `make verify` has
looked. They are generated from the declaration of the pipeline, so a user's has them as well; of
those that differ in names alone the first stands for all, with TAMPER_ALL=1 each is made.

What no honest check can find, as nothing else records it:
- a dead letter or a forwarded message that is there twice: a repeated batch sends it again;
- `unique_clients` within its stated error;
- of a ledger's entry when it was confirmed (`updated_at`, `clock`), how long it took (`seconds`,
  `sink_seconds`) and by which code (`plan`);
- a field of a document that no aggregate declares;
- messages that the broker no longer has: their retention ends one day, and then they are noted.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.support.pipelines import MakeWorld
from tests.support.tampering import runs
from tests.support.tampering.documents import with_a_note, within_the_error
from tests.support.tampering.ledger import unknowable
from tests.support.tampering.tampering import (
    Change,
    Tampering,
    Verdict,
    faults_of,
    judge,
    shared_out,
)
from tests.support.tampering.topics import copies
from tests.support.world import World


@dataclass
class Score:
    """What became of the tamperings with one run.

    Attributes:
        before: What `make verify` found in the untouched run.
        after: What it found when all tamperings were taken back, and with changes that are none.
    """

    before: list[str]
    verdicts: list[Verdict] = field(default_factory=list)
    after: dict[str, list[str]] = field(default_factory=dict)

    @property
    def survivors(self) -> list[str]:
        return [f"{v.title}: {v.failure}" for v in self.verdicts if v.failure]


@pytest.fixture(scope="module")
def scores(shared_worlds: MakeWorld) -> dict[str, Score]:
    """The score of each run; all run side by side, as verification waits more than it computes."""
    worlds = {name: runs.finished(shared_worlds, plan) for name, plan in runs.PLANNED.items()}
    accounts = {name: len([*world.pipeline.parts()]) for name, world in worlds.items()}
    tables = {name: [*runs.all_of(world)] for name, world in worlds.items()}
    table = shared_out(tables, accounts)
    with ThreadPoolExecutor(max_workers=len(worlds)) as pool:
        found = {
            name: pool.submit(score, world, table[name], runs.PLANNED[name].secrets)
            for name, world in worlds.items()
        }
        return {name: each.result() for name, each in found.items()}


def score(world: World, tamperings: list[Tampering], secrets: tuple[str, ...]) -> Score:
    found = Score(faults_of(world))
    passing = [each for each in tamperings if not each.is_lasting]
    found.verdicts += [judge(world, each, secrets) for each in passing]
    for name, changes in allowed(world).items():
        with ExitStack() as all_changes:
            for change in changes:
                all_changes.enter_context(change())
            found.after[name] = faults_of(world)
    found.verdicts += [judge(world, each, secrets) for each in tamperings if each.is_lasting]
    return found


def allowed(world: World) -> dict[str, list[Change]]:
    return {
        "nothing": [],
        "copies, and estimates within their error": [*copies(world), *within_the_error(world)],
        "fields that no aggregate declares": [*with_a_note(world)],
        # By itself: batches of different code are judged less strictly.
        "what only an entry records": [*unknowable(world)],
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", runs.PLANNED)
def test_every_tampering_is_found_and_named(
    scores: dict[str, Score], name: str, record_property: Callable[[str, object], None]
) -> None:
    """By store and by id, file or batch, without a record's value."""
    of_run = scores[name]
    number = len(of_run.verdicts)

    record_property("score", f"{name}: found {number - len(of_run.survivors)} of {number}")
    assert of_run.before == []
    assert of_run.survivors == []


@pytest.mark.parametrize("name", runs.PLANNED)
def test_copies_and_what_nothing_else_records_are_no_fault(
    scores: dict[str, Score], name: str
) -> None:
    assert {what: faults for what, faults in scores[name].after.items() if faults} == {}


def test_there_are_enough_tamperings_of_every_kind(
    scores: dict[str, Score], record_property: Callable[[str, object], None]
) -> None:
    titles = [verdict.title for each in scores.values() for verdict in each.verdicts]
    survivors = sum(len(each.survivors) for each in scores.values())

    record_property("score", f"tamperings: found {len(titles) - survivors} of {len(titles)}")
    assert len(titles) >= 80
    kinds = {title.partition(":")[0] for title in titles}
    assert kinds == {"change", "swap", "delete", "double", "move", "foreign", "type"}
