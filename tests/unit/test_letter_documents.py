"""Summaries of dead letters, each compared with the message that was rejected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from operations.verify.letter_documents import Judged, compare_documents

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Offsets 0 to 9 are confirmed; of these the broker still has 4 to 9.
JUDGED = Judged("t", {0: (0, 10)}, {0: (4, 10)})


def letter(offset: object, **changes: Any) -> dict[str, Any]:
    document = {
        "_id": f"t/0/{offset}",
        "source_topic": "t",
        "reasons": ["missing_a", "invalid_b"],
        "source_timestamp": NOON,
    }
    return {name: value for name, value in (document | changes).items() if value is not ...}


def compared(*documents: dict[str, Any], expected: tuple[int, ...] = ()) -> list[str]:
    wanted = sorted((letter(offset) for offset in expected), key=lambda each: each["_id"])
    noted, _ = compare_documents(JUDGED, iter(documents), iter(wanted), lambda *_: None)
    return noted.faults("here")


def test_documents_that_say_what_their_messages_say_are_in_order() -> None:
    # By their text, 10 comes before 4; it belongs to an unfinished batch.
    assert compared(letter(1), letter(10), letter(4), letter(9), expected=(4, 9)) == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"reasons": ["invalid_b", "missing_a"]}, "reasons"),
        ({"reasons": ["missing_a", "invalid_b", "x"]}, "reasons"),
        ({"source_timestamp": NOON.replace(microsecond=1000)}, "source_timestamp"),
        ({"source_timestamp": "1795348800000"}, "source_timestamp"),
    ],
)
def test_changed_document_is_named_with_its_fields(changes: dict[str, Any], fields: str) -> None:
    assert compared(letter(4, **changes), expected=(4,)) == [
        f"here: `t/0/4` differs from its source message in {fields}"
    ]
    # Nothing shows it where the message is no longer known.
    assert compared(letter(1, **changes)) == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"reasons": "missing_a,invalid_b"}, "reasons"),
        ({"source_timestamp": NOON.isoformat()}, "source_timestamp"),
        ({"source_topic": "other"}, "source_topic"),
        ({"reasons": ..., "value": "Jane Doe"}, "reasons, value"),
        ({"note": 1, "reasons": [], "source_timestamp": 5}, "note, reasons, source_timestamp"),
    ],
)
def test_document_of_another_form_is_named_even_without_its_message(
    changes: dict[str, Any], fields: str
) -> None:
    for offset, expected in ((4, (4,)), (1, ())):
        assert compared(letter(offset, **changes), expected=expected) == [
            f"here: `t/0/{offset}` differs from its source message in {fields}"
        ]


def test_documents_that_are_missing_extra_or_foreign_are_named() -> None:
    foreign = [letter(4, _id=7), letter(4, _id="s/0/4"), letter(4, _id="t/0/04")]
    more = [letter("4x"), letter(5), letter(4, _id="t/1/1"), letter(4, _id=ObjectId(b"x" * 12))]

    assert compared(*foreign, *more, expected=(4, 6)) == [
        "here: `int 7` is there, but names no message of t: no job wrote it",
        "here: `s/0/4` is there, but names no message of t: no job wrote it",
        "here: `t/0/04` is there, but names no message of t: no job wrote it",
        "here: `t/0/4` is missing; the source topic holds it as a rejected message",
        "here: `t/0/4x` is there, but names no message of t: no job wrote it",
        "here: `t/0/5` is there, but the source topic holds no such rejected message",
        "here: `t/0/6` is missing; the source topic holds it as a rejected message",
        "here: `t/1/1` is there, but names no message of t: no job wrote it",
        "here: `ObjectId 787878787878787878787878` is there, but names no message of t: no job"
        " wrote it",
    ]


def test_only_the_first_faults_are_named_and_the_rest_counted() -> None:
    faults = compared(*(letter(f"{n}\x1b") for n in range(10, 40)))

    assert len(faults) == 21
    assert faults[0].startswith("here: `t/0/10\N{REPLACEMENT CHARACTER}` is there")
    assert faults[-1] == "here: … and 10 more"
