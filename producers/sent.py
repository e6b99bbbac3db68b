"""Sends the records of a file to a pipeline's topic: `python -m producers.sent --help`."""

from __future__ import annotations

import argparse
import io
import os
import select
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import orjson

from errors import MillraceError
from producers.command import (
    add_brokers,
    add_from_record,
    add_rate_and_topic,
    complain,
    deliver,
    say,
    settings_or_exit,
)
from producers.delivery import CHUNK
from producers.messages import Message, SendCounts
from producers.named import NamedInput, input_named
from producers.never_sent import NeverSent
from producers.pacing import SLICE_SECONDS, ProducerStop, delivery_options
from producers.record_keys import message_key
from producers.sample_bytes import STANDARD_INPUT, explained, is_waited_for, name_of, path_of
from producers.samples import Records, SampleError, sample_records
from runtime import remedies
from settings import Settings

# From standard input records may come one by one, and none waits for many others.
WAITING_CHUNK: Final = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser(settings_or_exit()).parse_args(arguments)
    settings = settings_or_exit({"kafka_bootstrap_servers": options.bootstrap_servers})
    try:
        is_waiting = is_waited_for(options.file)
        target = input_named(options.name, settings, options.topic)
        if options.file == STANDARD_INPUT:
            standard_input_descriptor()
        # What cannot be read to its end is found before anything is sent.
        total = 0 if is_waiting else sum(1 for _ in sample_records(options.file))
    except MillraceError as error:
        complain(error)
        say(str(SendCounts()))
        return 1
    records = FileRecords(target, options.file, options.from_record)
    count = "" if is_waiting else f", {total} records"
    begin = f", from record {options.from_record} on" if options.from_record > 1 else ""
    code = deliver(
        settings,
        topic=target.topic,
        source=records.messages,
        rate=options.rate,
        total=0 if is_waiting else max(total - options.from_record + 1, 0),
        note=f"source: `{name_of(options.file)}`{count}{begin}",
        resume=lambda number: remedies.resumed({"--from-record": records.place_of(number)}),
        closing=records.close,
        block=1,
        place=records.place_of,
        options=delivery_options(options.rate or (1.0 if is_waiting else 0.0)),
        chunk=WAITING_CHUNK if is_waiting else CHUNK,
    )
    return code or int(records.withheld > 0)


class FileRecords:
    """The records of a file as messages, from the one with number `start` on."""

    def __init__(self, target: NamedInput, place: str, start: int = 1) -> None:
        self._target, self._place, self._start = target, place, start
        self._never = NeverSent(target.contract)
        # For each record that is withheld, the number of messages before it.
        self._withheld = list[int]()

    @property
    def withheld(self) -> int:
        """How many records were not sent."""
        return len(self._withheld)

    def place_of(self, number: int) -> int:
        """The number of the record that is, or would be, a message, both counted from 1."""
        return self._start - 1 + number + bisect_right(self._withheld, number - 1)

    def messages(self, settings: Settings, stop: ProducerStop) -> Iterator[Message]:
        """Yield a message for each record, until the end or a stop request."""
        with _raw(self._place, stop) as raw:
            yield from self._messages(sample_records(self._place, raw), stop)

    def _messages(self, found: Records, stop: ProducerStop) -> Iterator[Message]:
        messages = 0
        for number, (_, value) in enumerate(found, 1):
            # What a stop has cut off is no whole record.
            if stop:
                return
            if number < self._start:
                continue
            cleaned = self._never.removed(value)
            if cleaned is None:
                self._withheld.append(messages)
                continue
            messages += 1
            yield Message(message_key(self._target.key_fields, _read(cleaned)), cleaned)

    def close(self) -> list[str]:
        """Return a line about records that were not sent, if there are any."""
        if not self.withheld:
            return []
        return [
            f"not sent: {self.withheld} record(s) that are not JSON objects, as the contract has"
            " fields that must never reach Kafka and that cannot be removed from them"
        ]


def _read(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except ValueError:
        return None


def standard_input_descriptor() -> int:
    """Return the descriptor of standard input.

    Raises:
        SampleError: It is closed.
    """
    try:
        return sys.stdin.fileno()
    except (AttributeError, ValueError, OSError) as error:
        raise SampleError(
            "Standard input is closed. Give a file, or pass records on with `|` or `<`."
        ) from error


@contextmanager
def _raw(place: str, stop: ProducerStop) -> Iterator[io.RawIOBase | None]:
    """What is waited for, ended by a stop request; None for a file."""
    if not is_waited_for(place):
        yield None
    elif place == STANDARD_INPUT:
        yield _Waiting(standard_input_descriptor(), stop)
    else:
        with explained(place):
            # Otherwise it waits until a program begins to write.
            descriptor = os.open(path_of(place), os.O_RDONLY | os.O_NONBLOCK)
        try:
            yield _Waiting(descriptor, stop)
        finally:
            os.close(descriptor)


class _Waiting(io.RawIOBase):
    """Bytes of a descriptor; a stop request ends them."""

    def __init__(self, descriptor: int, stop: ProducerStop) -> None:
        self._descriptor, self._stop = descriptor, stop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._stop:
            if select.select([self._descriptor], [], [], SLICE_SECONDS)[0]:
                page = os.read(self._descriptor, len(buffer))
                buffer[: len(page)] = page
                return len(page)
            self._stop.while_waiting()
        return 0


def _parser(defaults: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m producers.sent",
        description="Send the records of a file (JSON Lines, a JSON array, CSV, Parquet) to a"
        " pipeline's topic, JSON byte for byte, valid or not. The last line counts sent, delivered"
        " and failed messages; the exit code is 0 only if all records were delivered.",
    )
    parser.add_argument("name", help="the pipeline")
    parser.add_argument("file", help="the file, or `-` for standard input")
    add_rate_and_topic(parser)
    add_from_record(parser)
    add_brokers(parser, defaults)
    return parser


if __name__ == "__main__":
    sys.exit(main())
