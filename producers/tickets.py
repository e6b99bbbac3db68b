"""Send generated support tickets to Kafka: `python -m producers.tickets --help`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from producers.command import (
    check_ratios,
    chosen_seed,
    deliver,
    new_parser,
    settings_or_exit,
)
from producers.generate import TicketGenerator
from producers.messages import Message
from producers.pacing import StopRequest
from settings import Settings


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
    options = parser.parse_args(arguments)
    check_ratios(parser, options)
    settings = settings_or_exit(
        {
            "tickets_count": options.count,
            "tickets_rate": options.rate,
            "tickets_topic": options.topic,
            "kafka_bootstrap_servers": options.bootstrap_servers,
        }
    )
    generator = TicketGenerator(
        seed := chosen_seed(options.seed),
        vocabulary=options.vocabulary,
        invalid_ratio=options.invalid_ratio,
        duplicate_ratio=options.duplicate_ratio,
    )

    def source(settings: Settings, stop: StopRequest) -> Iterator[Message]:
        return generator.messages(settings.tickets_count)

    return deliver(
        settings,
        topic=settings.tickets_topic,
        source=source,
        rate=settings.tickets_rate,
        total=settings.tickets_count,
        note=f"ticket source: generated, seed {seed}, vocabulary {options.vocabulary}",
    )


if __name__ == "__main__":
    sys.exit(main())
