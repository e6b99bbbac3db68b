"""`millrace trace`: prints one record's way, as text or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from operations.activity import showing
from operations.overview.as_json import as_json
from operations.overview.stores import OpenStores
from operations.trace.find import Limits, find
from operations.trace.model import Arrival, RecordTrace, StoredRow, Trace
from runtime.output import in_one_line
from settings import Settings
from spark_jobs.registry import chosen_pipelines

FORMATS: Final = ("text", "json")
EXIT_NOT_FOUND: Final = 1


def trace(settings: Settings, asked: str, pipeline: str | None, most: int, form: str) -> int:
    """Print a record's way; returns 0 if there is any trace of it."""
    chosen = chosen_pipelines(pipeline, settings)
    with OpenStores(settings) as stores, showing("looking for the record"):
        found = find(stores, asked, chosen, Limits(most))
    if form == "json":
        sys.stdout.write(json.dumps(found.as_json(), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{in_one_line(line)}\n" for line in lines_of(found))
    return 0 if found.is_found else EXIT_NOT_FOUND


def lines_of(found: Trace) -> Iterator[str]:
    """The trace as text; pipelines without any trace of the record in a line or two each."""
    shown = [record for record in found.records if record.is_found]
    for position, record in enumerate(shown):
        yield from [""] * bool(position)
        yield from _record(record)
    if not found.records:
        yield f"No pipeline has ids of this form: {found.asked}"
    elif not shown:
        yield f"No trace of {found.asked}: it never came, or it is where nothing was searched."
        for record in found.records:
            yield f"{record.pipeline}:"
            yield from _where(record)
    yield from found.troubles


def _record(record: RecordTrace) -> Iterator[str]:
    number = len(record.arrivals)
    yield f"{record.id or 'A message without a readable id'} · pipeline {record.pipeline}"
    for position, arrival in enumerate(record.arrivals, 1):
        yield ""
        count = f" {position} of {number}" if number > 1 else ""
        at = f", Kafka time {as_json(arrival.timestamp)}" if arrival.timestamp else ""
        yield f"Message{count}: {arrival.source}{at}"
        yield from (f"  {line}" for line in _arrival(arrival))
    yield ""
    yield from _rows(record)
    yield from _where(record)


def _arrival(arrival: Arrival) -> Iterator[str]:
    yield arrival.why
    for batch in arrival.batches:
        sinks = f", confirmed by {', '.join(batch.sinks)}" if batch.sinks else ""
        since = as_json(batch.confirmed_at)
        yield f"batch {batch.batch_id} of {batch.ledger}, in the ledger since {since}{sinks}"
    if arrival.redriven_from:
        yield f"sent back from the dead letter of {arrival.redriven_from} ({arrival.redrives}x)"
    if letter := arrival.letter:
        state = letter.state or "not known whether it was sent back"
        to = f" as {letter.redriven_to}" if letter.redriven_to else ""
        yield f"dead letter on {letter.topic}: {state}{to}"
    yield f"value (masked): {arrival.value}" if arrival.value else f"value: {arrival.absent}"


def _rows(record: RecordTrace) -> Iterator[str]:
    if not record.rows:
        yield "Stored: no row was found."
    for row in record.rows:
        yield f"Stored in {row.store}, {row.place}{f', from {row.source}' if row.source else ''}"
        yield from (f"  {line}" for line in _values(row))


def _values(row: StoredRow) -> Iterator[str]:
    values: Mapping[str, Any] = {n: v for n, v in row.values.items() if v is not None}
    width = max(map(len, values), default=0)
    for name, value in values.items():
        shown = as_json(value)
        text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
        yield f"{name:{width}}  {text}"


def _where(record: RecordTrace) -> Iterator[str]:
    if record.searched:
        yield f"Searched: {'; '.join(record.searched)}."
    for place in record.not_searched:
        yield f"Not searched: {place}."
