"""Sends generated support tickets to Kafka: `python -m producers.tickets --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from producers.command import (
    check_ratios,
    chosen_seed,
    deliver,
    new_parser,
    say,
    settings_or_exit,
)
from producers.generate import TicketGenerator
from producers.messages import Message
from producers.pacing import ProducerStop, delivery_options
from producers.processes import send_by_processes
from runtime import remedies
from settings import Settings

# The field whose text is the key of a message.
KEY_FIELDS: Final = ("client_id",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    defaults = settings_or_exit()
    parser = new_parser("tickets", "generated support tickets", defaults)
    parser.add_argument(
        "--count", type=int, metavar="N",
        help=f"tickets to send, 0 = without end (default: {defaults.tickets_count})",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=float, metavar="R",
        help=f"tickets per second, 0 = unlimited (default: {defaults.tickets_rate:g})",
    )  # fmt: skip
    parser.add_argument("--topic", metavar="NAME", help=f"(default: {defaults.tickets_topic})")
    parser.add_argument(
        "--vocabulary", choices=("en", "fr"), default="en",
        help="field names, values and language (default: en)",
    )  # fmt: skip
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N",
        help="send with N processes, each its share; order is kept within each (default: 1)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    check_ratios(parser, options)
    if options.processes > 1 and options.from_record > 1:
        parser.error("--from-record continues one process: leave out --processes")
    settings = settings_or_exit(
        {
            "tickets_count": options.count,
            "tickets_rate": options.rate,
            "tickets_topic": options.topic,
            "kafka_bootstrap_servers": options.bootstrap_servers,
        }
    )
    seed = chosen_seed(options.seed)
    note = f"ticket source: generated, seed {seed}, vocabulary {options.vocabulary}"
    if options.processes > 1:
        say(f"{note}, {options.processes} processes")
        return send_by_processes(
            "producers.tickets",
            _words_of_each(options),
            count=settings.tickets_count,
            rate=settings.tickets_rate,
            seed=seed,
            processes=options.processes,
        )
    generator = TicketGenerator(
        seed,
        vocabulary=options.vocabulary,
        invalid_ratio=options.invalid_ratio,
        duplicate_ratio=options.duplicate_ratio,
    )

    def source(settings: Settings, stop: ProducerStop) -> Iterator[Message]:
        return generator.messages(settings.tickets_count)

    return deliver(
        settings,
        topic=settings.tickets_topic,
        source=source,
        rate=settings.tickets_rate,
        total=settings.tickets_count,
        note=note,
        start=options.from_record,
        resume=lambda number: remedies.resumed({"--seed": seed, "--from-record": number}),
        options=delivery_options(settings.tickets_rate),
    )


def examples(seed: int) -> Iterator[bytes]:
    """Yield endless valid records, as their messages have them."""
    return (message.value for message in TicketGenerator(seed).messages(0))


def _words_of_each(options: argparse.Namespace) -> list[str]:
    """The options for each of several processes."""
    given = {
        "--topic": options.topic,
        "--bootstrap-servers": options.bootstrap_servers,
        "--vocabulary": options.vocabulary,
        "--invalid-ratio": options.invalid_ratio,
        "--duplicate-ratio": options.duplicate_ratio,
    }
    return [str(word) for pair in given.items() if pair[1] is not None for word in pair]


if __name__ == "__main__":
    sys.exit(main())
