"""What is seen of a platform whose topic is not the one that the ledger knows."""

from __future__ import annotations

from typing import Any

import pytest

from operations.board import board_lines
from operations.overview import collect
from operations.overview.as_json import as_json
from operations.overview.confirmed import ConfirmedBatches
from operations.overview.model import Overview
from settings import Settings
from spark_jobs.state.ledger import Counts, Entry

# Of the two partitions, offsets up to 1,000 and up to 5 are confirmed.
LAST = Entry(
    pipeline="tickets",
    topic="client_tickets",
    query_id="q",
    batch_id=0,
    offsets={0: (900, 1000), 1: (0, 5)},
    counts=Counts(read=105, stored=105),
    sinks=("cassandra",),
)


def look(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, asked: list[str], **ends: int
) -> Overview:
    """What is seen with one batch in the ledger, and the topic's partitions ending there."""

    def read_ledger(batches: ConfirmedBatches) -> None:
        asked.append("ledger")
        batches.last, batches.counts, batches.is_known = LAST, LAST.counts, True

    def read_topic(*_: Any) -> Any:
        asked.append("broker")
        return {"client_tickets": {int(name[1:]): (0, end) for name, end in ends.items()}}

    monkeypatch.setattr(ConfirmedBatches, "update", read_ledger)
    monkeypatch.setattr(collect, "offsets_of", read_topic)
    monkeypatch.setattr(collect, "last_proof", lambda _: None)
    monkeypatch.setattr("operations.overview.collect.stack.asked_states", lambda _: [])
    return collect.collect(settings.model_copy(update={"pipelines": ("tickets",)}))


def test_lag_of_a_topic_that_was_made_again_is_unknown_and_a_trouble(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = look(settings, monkeypatch, [], p0=10, p1=35)

    assert seen.troubles == (
        "Pipeline tickets: the topic `client_tickets` ends before what the ledger has confirmed"
        " (partition 0 at 10), so it was made again or emptied, and the lag is unknown. A job of"
        " the pipeline says what to do.",
    )
    (tickets,) = seen.pipelines
    assert ([p.lag for p in tickets.partitions], tickets.lag) == ([None, 30], 30)
    found = as_json(tickets)
    assert (found["lag"], found["partitions"][0]["lag"]) == (None, None)
    assert "tickets: not running, read 105 (0.0/s), lag unknown" in board_lines(seen)[-1]


def test_topic_is_asked_after_the_ledger_so_that_no_batch_seems_beyond_its_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may confirm between the two what came after the first."""
    asked: list[str] = []

    seen = look(settings, monkeypatch, asked, p0=1000, p1=6)

    assert asked == ["ledger", "broker"]
    assert (seen.pipelines[0].lag, seen.troubles) == (1, ())
