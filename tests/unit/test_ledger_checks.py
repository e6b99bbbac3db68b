"""The ledger against itself, against what it must name, and against the messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from operations.verify.ledger_checks import (
    Origin,
    count_faults,
    ledger_against_messages,
    loss_faults,
    origin_faults,
    setting_faults,
    unchecked_sinks,
    unwritten_sinks,
)
from spark_jobs.state.ledger import Counts, Entry

SINKS = ("cassandra", "files", "mongodb")
ORIGIN = Origin("t", "id-1", "q", "k1", frozenset(SINKS))


def entry(batch_id: int, **others: Any) -> Entry:
    made = Entry("p", "t", "q", batch_id, {0: (batch_id, batch_id + 1)}, Counts(1, 1), SINKS)
    return replace(made, **({"hash_key_id": "k1", "topic_id": "id-1"} | others))


def test_entries_of_one_origin_have_no_fault() -> None:
    assert origin_faults([entry(0), entry(2, sinks=SINKS[::-1])], ORIGIN) == []
    assert origin_faults([], ORIGIN) == []


def test_entries_of_a_replay_without_a_topic_id_are_none_before_those_of_a_job() -> None:
    assert origin_faults([entry(0, topic_id=None), entry(1)], ORIGIN) == []
    assert origin_faults([entry(0), entry(1, topic_id=None)], ORIGIN) == [
        "ledger: batch 1: `topic_id` is `None`, it must be `id-1`"
    ]


def test_batches_from_before_the_first_topic_may_lack_topics_and_no_later_one() -> None:
    fed = (*SINKS, "topics")
    added = replace(ORIGIN, sinks=frozenset(fed), topics_from=2)
    before = [entry(0), entry(1)]

    assert origin_faults([*before, entry(2, sinks=fed)], added) == []
    assert origin_faults([*before, entry(2, sinks=fed), entry(3)], added) == [
        "ledger: batch 3: `sinks` lacks topics"
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"query_id": "x"}, "`query_id` is `x`, it must be `q`"),
        ({"topic": "other"}, "`topic` is `other`, it must be `t`"),
        ({"topic_id": "id-2"}, "`topic_id` is `id-2`, it must be `id-1`"),
        ({"hash_key_id": "k2"}, "`hash_key_id` is `k2`, it must be `k1`"),
        ({"hash_key_id": None}, "`hash_key_id` is `None`, it must be `k1`"),
        ({"sinks": ("files", "mongodb")}, "`sinks` lacks cassandra"),
        ({"sinks": (*SINKS, "postgres")}, "`sinks` names, unlike other batches, postgres"),
        ({"sinks": (*SINKS, "files")}, "`sinks` names twice files"),
    ],
)
def test_changed_entry_is_named(change: dict[str, Any], fault: str) -> None:
    entries = [entry(0), entry(1, **change)]

    assert origin_faults(entries, ORIGIN) == [f"ledger: batch 1: {fault}"]


def test_batches_with_one_other_value_share_a_line() -> None:
    entries = [entry(n, topic="other") for n in range(5)]

    assert origin_faults([*entries, entry(5)], ORIGIN) == [
        "ledger: batches 0, 1, 2 and 2 more: `topic` is `other`, it must be `t`"
    ]


def test_topic_that_was_created_again_and_another_key_are_named_as_such() -> None:
    other = replace(ORIGIN, topic_id="id-2", hash_key_id="k2")

    entries = [entry(0), entry(1)]
    of_key, of_topic = setting_faults(entries, other)

    assert origin_faults(entries, other) == setting_faults(entries, ORIGIN) == []
    assert of_key == (
        "ledger: `hash_key_id` of all batches is `k1`, but the present PII_HASH_KEY and"
        " PII_HASH_MODE make `k2`: set the former key and mode again"
    )
    assert of_topic.startswith("ledger: its batches belong to a former topic t;")


def test_sinks_of_all_batches_are_compared_with_the_settings() -> None:
    entries = [entry(0), entry(1)]

    assert unwritten_sinks(entries, {*SINKS, "postgres"}) == {"postgres"}
    assert unchecked_sinks(entries, {"cassandra", "mongodb"}) == {"files"}
    assert origin_faults(entries, replace(ORIGIN, sinks=frozenset({"files", "postgres"}))) == []


def test_counts_of_a_batch_must_fit_together() -> None:
    good = Counts(5, 2, 2, 1, 0, 1, {"a": 2, "b": 1})
    wrong = [
        replace(good, read=6),
        replace(good, reasons={"a": 1}),
        replace(good, reasons={"a": 3}),
        replace(good, alerts=3),
    ]

    assert count_faults([entry(0, counts=good)]) == []
    assert [count_faults([entry(7, counts=counts)]) for counts in wrong] == [
        ["ledger: batch 7: read 6, but its parts add up to 5"],
        ["ledger: batch 7: 2 dead letters cannot have the 1 reasons that it names"],
        ["ledger: batch 7: 2 dead letters cannot have the 3 reasons that it names"],
        ["ledger: batch 7: 3 alerts, but 2 records"],
    ]


FOUND = {
    0: Counts(read=5, stored=2, dead_lettered=2, filtered=1, reasons={"a": 1, "b": 1}),
    1: Counts(read=4, stored=3, dead_lettered=1, reasons={"a": 1}),
}


def booked(*changes: dict[str, Any]) -> list[Entry]:
    return [
        entry(number, counts=replace(FOUND[number], **change))
        for number, change in enumerate(changes)
    ]


def test_ledger_that_says_what_the_messages_say_has_no_fault() -> None:
    assert ledger_against_messages(booked({}, {}), FOUND) == []
    assert ledger_against_messages([entry(9)], FOUND) == []


def test_reasons_swapped_between_batches_are_named_though_the_sums_agree() -> None:
    entries = booked({"reasons": {"a": 2}}, {"reasons": {"b": 1}})

    assert ledger_against_messages(entries, FOUND) == [
        "ledger: batch 0: reason a is 2, in these offsets the topic has 1 (+1)",
        "ledger: batch 0: reason b is 0, in these offsets the topic has 1 (-1)",
        "ledger: batch 1: reason a is 0, in these offsets the topic has 1 (-1)",
        "ledger: batch 1: reason b is 1, in these offsets the topic has 0 (+1)",
    ]


def test_changed_counts_are_named_in_sum_and_by_batch() -> None:
    entries = booked({}, {"stored": 2, "duplicates": 1, "reasons": {"c": 1}})

    lines = [
        "stored is {}, in these offsets the topic has {} (-1)",
        "duplicates is {}, in these offsets the topic has {} (+1)",
        "reason a is {}, in these offsets the topic has {} (-1)",
        "reason c is {}, in these offsets the topic has {} (+1)",
    ]
    sums = [(4, 5), (1, 0), (1, 2), (1, 0)]
    of_batch = [(2, 3), (1, 0), (0, 1), (1, 0)]
    assert ledger_against_messages(entries, FOUND) == [
        *(f"ledger: {line.format(*pair)}" for line, pair in zip(lines, sums, strict=True)),
        *(
            f"ledger: batch 1: {line.format(*pair)}"
            for line, pair in zip(lines, of_batch, strict=True)
        ),
    ]


def test_batch_of_which_messages_are_gone_is_not_compared() -> None:
    entries = booked({"stored": 9}, {"dead_lettered": 2})

    assert ledger_against_messages(entries, {1: FOUND[1]}) == [
        "ledger: dead-lettered is 2, in these offsets the topic has 1 (+1)"
    ]


def test_accepted_loss_of_messages_that_are_there_or_unlike_the_noted_one_is_named() -> None:
    lost = entry(3, offsets={0: (10, 120), 1: (5, 9)}, accepted_loss={0: (10, 110), 1: (5, 5)})

    assert list(loss_faults(lost, {0: (110, 120), 1: (0, 9)}, {0: (10, 110)})) == []
    assert list(loss_faults(lost, {0: (110, 120), 1: (0, 9)}, {})) == []
    assert list(loss_faults(lost, {0: (20, 120)}, {})) == [
        "ledger: batch 3 has an accepted loss up to offset 109 of partition 0, but the broker has"
        " messages from 20 on"
    ]
    assert list(loss_faults(replace(lost, accepted_loss={}), {0: (110, 120)}, {0: (10, 110)})) == [
        "ledger: the accepted loss of batch 3 is not the one that was accepted when it was read"
    ]
