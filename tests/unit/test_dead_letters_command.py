"""Options of `millrace dead-letters`, and which dead letters they choose."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from operations import reset
from operations.dead_letters.options import DeadLetterRequest, OptionsError, read_request
from operations.dead_letters.reader import DeadLetter, note_coordinates, note_key
from operations.options import build_parser
from settings import Settings


def request_of(*arguments: str) -> DeadLetterRequest:
    return read_request(Settings(), build_parser().parse_args(["dead-letters", *arguments]))


def letter(offset: int, partition: int = 0, reasons: str = "unparseable") -> DeadLetter:
    """A letter that came `offset` seconds after 2026-11-22T10:15:00Z."""
    at = 1_795_342_500_000 + 1000 * offset
    state = "parked" if offset == 5 else "waiting"
    return DeadLetter(
        "client_tickets", partition, offset, at, tuple(reasons.split(",")), 0, state, None, b""
    )


LETTERS = [
    letter(1),
    letter(2, reasons="missing_ticket_id,invalid_created_at"),
    letter(3, partition=1, reasons="invalid_created_at"),
    letter(4, partition=1),
    letter(5),
]


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("--reason invalid_created_at", [2, 3]),
        ("--reason missing_ticket_id --reason unparseable", [1, 2, 4, 5]),
        ("--since 2026-11-22T10:15:04Z", [4, 5]),
        ("--since 2026-11-22T11:15:04+01:00", [4, 5]),
        ("--since 2026-11-22T10:15:04", [4, 5]),
        ("--until 2026-11-22T10:15:02Z", [1]),
        ("--until 2026-11-22", []),
        ("--partition 1", [3, 4]),
        ("--from-offset 4", [4, 5]),
        ("--to-offset 2", [1, 2]),
        ("--from-offset 2 --to-offset 2", [2]),
        ("--state parked", [5]),
        ("--state redriven", []),
        ("--partition 0 --reason unparseable --state waiting", [1]),
    ],
)
def test_dead_letter_must_pass_all_filters(arguments: str, chosen: list[int]) -> None:
    selection = request_of("list", *arguments.split()).selection

    assert [each.offset for each in LETTERS if selection.takes(each)] == chosen


def test_without_a_topic_all_pipelines_are_meant() -> None:
    pipelines = [p.name for p in request_of("list").pipelines]
    assert pipelines == ["tickets", "profiles", "customers"]
    assert [p.name for p in request_of("list", "--topic", "users_profiles").pipelines] == [
        "profiles"
    ]


def test_all_faults_of_the_options_are_listed_together() -> None:
    with pytest.raises(OptionsError) as caught:
        request_of(
            *("redrive", "--topic", "nowhere", "--reason", "unparsable", "--since", "yesterday"),
            *("--partition", "-1", "--from-offset", "9", "--to-offset", "8", "--state", "lost"),
            *("--max", "0", "--rate", "nan"),
        )

    lines = str(caught.value).splitlines()
    assert lines[0] == "8 option(s) cannot be used:"
    for expected in (
        "--topic: no pipeline reads `nowhere`. Valid: client_tickets, users_profiles",
        "--reason: there is no `unparsable`. Did you mean `unparseable`? Valid: invalid_address,",
        "--since: `yesterday` is not an ISO 8601 time",
        "--partition: `-1` is not a whole number from 0",
        "--state: `lost` is not one of waiting, redriven, parked",
        "--max: `0` is not a whole number from 1",
        "--rate: `nan` is not a number from 0",
        "--from-offset, --to-offset: the last is before the first",
        "Nothing was read or sent.",
    ):
        assert expected in str(caught.value)


@pytest.mark.parametrize("reason", ["invalid_nat", "missing_login_uuid", "invalid_client_id"])
def test_every_reason_that_a_job_gives_is_accepted(reason: str) -> None:
    assert request_of("list", "--reason", reason).selection.reasons == {reason}


def test_time_of_a_message_beyond_the_calendar_is_shown_as_its_number() -> None:
    reasons = ("invalid_kafka_timestamp",)
    far = DeadLetter("t", 0, 0, 1_795_342_500_000_000, reasons, 0, "waiting", None, None)

    assert far.timestamp == "1795342500000000"
    request = request_of("list", "--since", "2026-11-22", "--reason", "invalid_kafka_timestamp")
    assert request.selection.takes(far)


def test_note_gives_the_coordinates_for_any_topic_name() -> None:
    noted = DeadLetter("a/b", 12, 345, 0, ("unparseable",), 0, "waiting", None, None)

    assert note_key(noted) == b"a/b/12/345"
    assert note_coordinates(b"a/b/12/345") == (12, 345)


@pytest.mark.parametrize("key", [None, b"", b"a/b", b"a/1/x", b"a/1/-5", b"a/1/" + b"9" * 40])
def test_note_that_no_redrive_wrote_is_ignored(key: bytes | None) -> None:
    assert note_coordinates(key) is None


def test_reset_with_topics_deletes_the_notes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(reset, "locked", lambda *_: nullcontext())
    for needs_stores in ("delete_stored", "_see_stores", "prepare_stores"):
        monkeypatch.setattr(reset, needs_stores, lambda *_: None)
    monkeypatch.setattr(reset, "_with_former_sinks", lambda settings, *_: settings)
    monkeypatch.setattr(reset, "_elsewhere", lambda *_: [])
    monkeypatch.setattr(reset, "delete_topics", lambda _, names: deleted.extend(names))

    reset.reset(Settings(), "tickets", topics=True, yes=True)

    assert deleted == [
        "client_tickets",
        "client_tickets-dead-letter",
        "client_tickets-redriven",
    ]
