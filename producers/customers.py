"""Sends the rows of a customer file to Kafka: `python -m producers.customers --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from errors import MillraceError
from producers.client import topic_identity
from producers.command import (
    chosen_seed,
    complain,
    deliver,
    ratio,
    say,
    settings_or_exit,
    whole_number,
)
from producers.csv_text import TextSource, open_text
from producers.customer_files import write_customers
from producers.customer_progress import LARGEST_QUEUE, ProgressFile
from producers.customer_rows import KEY, CustomerFile
from producers.messages import Message, SendCounts
from producers.pacing import ProducerStop
from runtime import remedies
from settings import Settings

# The field whose text is the key of a message.
KEY_FIELDS: Final = (KEY,)
MODULE: Final = "producers.customers"
GENERATED_ROWS: Final = 500
FAULT_SHARE: Final = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    defaults = settings_or_exit()
    options = parser_for(defaults).parse_args(arguments)
    settings = settings_or_exit(
        {
            "customers_source": options.source,
            "customers_rate": options.rate,
            "customers_topic": options.topic,
            "kafka_bootstrap_servers": options.bootstrap_servers,
        }
    )
    try:
        if options.generate:
            say(_generate(options.generate, options))
            return 0
        return _send(settings, options)
    except MillraceError as error:
        complain(error)
        say(str(SendCounts()))
        return 1


def _send(settings: Settings, options: argparse.Namespace) -> int:
    place, note, count = settings.customers_source, "", options.count
    if place is None:
        path = settings.millrace_home / "customers.csv"
        note, place, count = f"{_generate(path, options)}; ", str(path), 0
    source = open_text(settings, place)
    from_start = options.from_start or settings.customers_source is None
    rest = _Rest(source, count, from_start=from_start)
    return deliver(
        settings,
        topic=settings.customers_topic,
        source=rest.messages,
        rate=settings.customers_rate,
        total=count,
        note=f"customer source: {note}`{source.name}`",
        resume=lambda row: remedies.rest_of_file(
            MODULE, place, count and count - row + 1, settings.customers_topic, settings
        ),
        confirmed=rest.confirmed,
        closing=rest.close,
        options={"queue.buffering.max.messages": LARGEST_QUEUE},
    )


class _Rest:
    """The rows of a file that the topic lacks, known once the broker has answered."""

    def __init__(self, source: TextSource, count: int, *, from_start: bool) -> None:
        self._source, self._count, self._from_start = source, count, from_start
        self._file: CustomerFile | None = None

    def messages(self, settings: Settings, _stop: ProducerStop) -> Iterator[Message]:
        """Yield them, at most `count` unless it is 0; says where they begin.

        Raises:
            SourceError: The file was changed since its first rows were sent.
            DeliveryError: The broker did not describe the topic.
        """
        topic = settings.customers_topic
        identity = topic_identity(settings, topic)
        progress = ProgressFile(settings.millrace_home, self._source, topic, identity)
        start = progress.read(from_start=self._from_start)
        if start.complete:
            again = remedies.again("--from-start", settings)
            say(f"was sent before, all {start.delivered} rows; `{again}` sends it again")
            return
        if progress.is_of_another_topic:
            say(f"`{topic}` is another one than before, so the whole file is sent")
        if start.position:
            say(f"continues at line {start.line} ({start.delivered} rows sent before)")
        self._file = CustomerFile(self._source, progress, start)
        yield from self._file.messages(self._count)

    def confirmed(self, number: int) -> None:
        """Note that the broker has message `number`."""
        if self._file:
            self._file.confirmed(number)

    def close(self) -> list[str]:
        """Record how far it came; a summary in lines."""
        return self._file.close() if self._file else []


def _generate(path: Path, options: argparse.Namespace) -> str:
    seed, count = chosen_seed(options.seed), options.count or GENERATED_ROWS
    write_customers(path, count, seed, options.fault_share)
    return f"generated {count} rows, seed {seed}, in `{path}`"


def _as_typed(place: str) -> str:
    """A file of the folder in which the command is given, unlike one of a setting."""
    return place if "://" in place else os.path.abspath(os.path.expanduser(place))


def parser_for(defaults: Settings) -> argparse.ArgumentParser:
    """The options, with their defaults in the help."""
    parser = argparse.ArgumentParser(
        prog="python -m producers.customers",
        description="Send the rows of a customer CSV to a Kafka topic, continuing where the last"
        " start ended. The last line counts sent, delivered and failed messages; the exit code is 0"
        " only if all sent messages were delivered.",
    )
    parser.add_argument(
        "--source", type=_as_typed, metavar="PLACE",
        help="a file or s3://bucket/key (default:"
        f" {defaults.customers_source or 'a file generated in MILLRACE_HOME'})",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=whole_number, default=0, metavar="N",
        help="rows to send at most, 0 = all; for a generated file, its number of rows,"
        f" 0 = {GENERATED_ROWS} (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=float, metavar="R",
        help=f"rows per second, 0 = unlimited (default: {defaults.customers_rate:g})",
    )  # fmt: skip
    parser.add_argument("--topic", metavar="NAME", help=f"(default: {defaults.customers_topic})")
    parser.add_argument(
        "--from-start", action="store_true", help="send all rows, also those sent before"
    )
    parser.add_argument(
        "--generate", type=Path, metavar="FILE", help="only generate a file and send nothing"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="the same seed generates the same file (default: new)"
    )
    parser.add_argument(
        "--fault-share", type=ratio, default=FAULT_SHARE, metavar="R",
        help=f"share of generated rows with a fault, 0 to 1 (default: {FAULT_SHARE:g})",
    )  # fmt: skip
    parser.add_argument(
        "--bootstrap-servers", metavar="HOST:PORT,…",
        help=f"brokers (default: {defaults.kafka_bootstrap_servers})",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
