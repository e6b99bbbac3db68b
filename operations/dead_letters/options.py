"""The options of `millrace dead-letters`; one error lists all invalid ones."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from errors import MillraceError
from operations.dead_letters.reader import STATES, DeadLetterFilter
from operations.tables import FORMATS
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.transforms.records import reason_codes

Value = TypeVar("Value")


class OptionsError(MillraceError):
    """Options of `millrace dead-letters` are invalid; the text lists all of them."""


@dataclass(frozen=True)
class DeadLetterRequest:
    """A dead-letter command with its options, parsed and checked.

    Attributes:
        action: `list`, `show` or `redrive`.
        pipelines: The pipelines.
        selection: Which dead letters.
        form: How to print: `table`, `csv` or `json`.
        limit: Letters to print; 0 = all.
        unmask: Whether sensitive fields are shown.
        dry_run: Whether nothing is sent.
        most: Largest number to send; None = all.
        rate: Letters per second; 0 = unlimited.
    """

    action: str
    pipelines: tuple[Pipeline, ...]
    selection: DeadLetterFilter
    form: str = "table"
    limit: int = 0
    unmask: bool = False
    dry_run: bool = False
    most: int | None = None
    rate: float = 0


def read_request(settings: Settings, options: argparse.Namespace) -> DeadLetterRequest:
    """The request that the options make.

    Raises:
        OptionsError: lists every invalid option with what is expected; nothing was done.
    """
    faults: list[str] = []
    given: dict[str, Any] = vars(options)

    def read(name: str, convert: Callable[[str], Value], expected: str) -> Value | None:
        text = given.get(name)
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError:
            option = "--max" if name == "most" else f"--{name.replace('_', '-')}"
            faults.append(f"{option}: `{text}` is not {expected}")
            return None

    pipelines = _pipelines(settings, given.get("topic"), faults)
    time, whole = "an ISO 8601 time such as `2026-11-22T10:00:00Z`", "a whole number from 0"
    selection = DeadLetterFilter(
        reasons=_reasons(given.get("reason") or [], pipelines, faults),
        since=read("since", _time, time),
        until=read("until", _time, time),
        partition=read("partition", _whole, whole),
        from_offset=read("from_offset", _whole, whole),
        to_offset=read("to_offset", _whole, whole),
        state=read("state", _one_of(STATES), f"one of {', '.join(STATES)}"),
    )
    request = DeadLetterRequest(
        action=options.action,
        pipelines=tuple(pipelines),
        selection=selection,
        form=read("format", _one_of(FORMATS), f"one of {', '.join(FORMATS)}") or "table",
        limit=read("limit", _whole, whole) or 0,
        unmask=bool(given.get("unmask")),
        dry_run=bool(given.get("dry_run")),
        most=read("most", _positive, "a whole number from 1"),
        rate=read("rate", _rate, "a number from 0 (messages per second, 0 = unlimited)") or 0,
    )
    faults += _empty_ranges(selection)
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise OptionsError(
            f"{len(faults)} option(s) cannot be used:\n{lines}\n"
            f"Nothing was read or sent. `{remedies.MILLRACE} dead-letters {options.action} --help`"
            " lists what each one takes."
        )
    return request


def _pipelines(settings: Settings, topic: str | None, faults: list[str]) -> list[Pipeline]:
    pipelines = pipelines_of(settings)
    chosen = [p for p in pipelines if topic is None or p.topic(settings) == topic]
    if not chosen:
        topics = [pipeline.topic(settings) for pipeline in pipelines]
        meant = remedies.nearest(topic or "", topics)
        faults.append(f"--topic: no pipeline reads `{topic}`.{meant} Valid: {', '.join(topics)}")
    return chosen or [*pipelines]


def _reasons(
    wanted: Iterable[str], pipelines: Iterable[Pipeline], faults: list[str]
) -> frozenset[str]:
    known = set[str]().union(*(reason_codes(pipeline.contract) for pipeline in pipelines))
    faults += [
        f"--reason: there is no `{reason}`.{remedies.nearest(reason, sorted(known))}"
        f" Valid: {', '.join(sorted(known))}"
        for reason in wanted
        if reason not in known
    ]
    return frozenset(wanted)


def _empty_ranges(selection: DeadLetterFilter) -> list[str]:
    faults = []
    if selection.since and selection.until and selection.since >= selection.until:
        faults.append("--since, --until: the end is not after the beginning")
    first, last = selection.from_offset, selection.to_offset
    if first is not None and last is not None and first > last:
        faults.append("--from-offset, --to-offset: the last is before the first")
    return faults


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


def _positive(text: str) -> int:
    if number := _whole(text):
        return number
    raise ValueError


def _rate(text: str) -> float:
    rate = float(text)
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError
    return rate


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    return convert
