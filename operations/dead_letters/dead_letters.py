"""`millrace dead-letters`: lists them, shows them, sends them back."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from operations.dead_letters.options import DeadLetterRequest, read_request
from operations.dead_letters.reader import STATES, DeadLetter, read_dead_letters
from operations.dead_letters.redrive import redrive
from operations.masking import masked_value
from operations.tables import print_csv, print_records, print_table
from schemas.contract import Contract
from settings import Settings

Record = dict[str, Any]


def run_dead_letters(settings: Settings, options: Namespace) -> int:
    """Carry out a dead-letter command; returns the exit code.

    Raises:
        OptionsError: options are invalid; nothing was done.
        SinkUnavailable: the broker did not answer.
        JobError: a topic is missing, or the broker stopped answering.
        DeliveryError: a redrive could not continue; it can be run again.
    """
    request = read_request(settings, options)
    if request.action == "redrive":
        return redrive(settings, request)
    if request.action == "show":
        _print("dead letters", _shown(settings, request), request)
        return 0
    _list(settings, request)
    return 0


def _list(settings: Settings, request: DeadLetterRequest) -> None:
    """Print lines up to the limit, then totals over all selected dead letters."""
    kinds: Counter[tuple[str, str, str]] = Counter()
    states: Counter[str] = Counter()

    def counted() -> Iterator[DeadLetter]:
        for _, letter in _chosen(settings, request):
            states[letter.state] += 1
            kinds.update((letter.topic, reason, letter.state) for reason in letter.reasons)
            yield letter

    letters = counted()
    _print("dead letters", (_line(letter) for letter in _first(letters, request)), request)
    for _ in letters:
        pass
    total = ", ".join(f"{states[state]} {state}" for state in STATES)
    if request.form in {"table", "vertical"}:
        rows = [(*kind, number) for kind, number in sorted(kinds.items())]
        print_table("by reason", ("topic", "reason", "state", "dead letters"), rows)
        if kinds.total() > states.total():
            sys.stdout.write("A dead letter is counted under each reason that it has.\n")
        sys.stdout.write(f"{states.total()} dead letters: {total}\n")
        if request.limit and states.total() > request.limit:
            sys.stdout.write(f"The first {request.limit} are listed; --limit shows more.\n")
    else:
        # Standard output holds only records, for other programs to read.
        for (topic, reason, state), number in sorted(kinds.items()):
            sys.stderr.write(f"{topic} {reason} {state}: {number}\n")
        sys.stderr.write(f"{states.total()} dead letters: {total}\n")


def _line(letter: DeadLetter) -> Record:
    return {
        "source": letter.source,
        "timestamp": letter.timestamp,
        "reasons": ",".join(letter.reasons),
        "redrives": letter.redrives,
        "bytes": letter.size,
        "state": letter.state,
    }


def _shown(settings: Settings, request: DeadLetterRequest) -> Iterator[Record]:
    for contract, letter in _first(_chosen(settings, request), request):
        line = {name: value for name, value in _line(letter).items() if name != "bytes"}
        if request.unmask:
            yield line | {"key": _text(letter.key), "value": _text(letter.value)}
        else:
            yield line | {"value (masked)": masked_value(letter.value, contract)}


def _chosen(
    settings: Settings, request: DeadLetterRequest
) -> Iterator[tuple[Contract, DeadLetter]]:
    for pipeline in request.pipelines:
        contract = pipeline.contract
        for letter in read_dead_letters(settings, pipeline.topic(settings)):
            if request.selection.takes(letter):
                yield contract, letter


def _first(items: Iterator[Any], request: DeadLetterRequest) -> Iterator[Any]:
    return islice(items, request.limit or None)


def _text(content: bytes | None) -> str | None:
    """Bytes as text; invalid UTF-8 is escaped."""
    return None if content is None else content.decode(errors="backslashreplace")


def _print(title: str, records: Iterable[Record], request: DeadLetterRequest) -> None:
    """Print records; CSV and JSON line by line, a table at the end when its widths are known."""
    if request.form in {"table", "vertical"}:
        rows = list(records)
        if rows:
            print_records(rows, request.form, title)
        else:
            sys.stdout.write(f"{title}: nothing found\n")
        return
    for number, record in enumerate(records):
        if request.form == "json":
            sys.stdout.write(json.dumps(record, default=str, ensure_ascii=False) + "\n")
            continue
        print_csv([record.values()] if number else [record, record.values()])
