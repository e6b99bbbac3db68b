"""Sends records made from a contract to Kafka: `python -m producers.generated --help`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from errors import MillraceError
from producers.command import (
    add_rate_and_topic,
    check_ratios,
    chosen_seed,
    complain,
    deliver,
    new_parser,
    say,
    settings_or_exit,
    whole_number,
)
from producers.messages import Message, SendCounts
from producers.named import input_named
from producers.pacing import ProducerStop, delivery_options
from producers.record_generator import RecordGenerator
from runtime import remedies
from settings import Settings

USUAL_COUNT = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = new_parser("generated", "records made from a contract", settings_or_exit())
    parser.add_argument("name", help="the pipeline: a folder under PIPELINES_PATH")
    parser.add_argument(
        "--count", type=whole_number, default=USUAL_COUNT, metavar="N",
        help="records to send, 0 = without end (default: %(default)s)",
    )  # fmt: skip
    add_rate_and_topic(parser)
    options = parser.parse_args(arguments)
    check_ratios(parser, options)
    settings = settings_or_exit({"kafka_bootstrap_servers": options.bootstrap_servers})
    seed = chosen_seed(options.seed)
    try:
        target = input_named(options.name, settings, options.topic)
        generator = RecordGenerator(
            target.contract,
            seed,
            count=options.count,
            invalid_ratio=options.invalid_ratio,
            duplicate_ratio=options.duplicate_ratio,
        )
    except MillraceError as error:
        complain(error)
        say(str(SendCounts()))
        return 1

    def source(settings: Settings, stop: ProducerStop) -> Iterator[Message]:
        return generator.messages()

    return deliver(
        settings,
        topic=target.topic,
        source=source,
        rate=options.rate,
        total=options.count,
        note=f"{target.name} source: generated from its contract, seed {seed}",
        start=options.from_record,
        resume=lambda number: remedies.resumed({"--seed": seed, "--from-record": number}),
        closing=lambda: _what_was_made(generator),
        options=delivery_options(options.rate),
    )


def _what_was_made(generator: RecordGenerator) -> list[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(generator.made.items()))
    return [f"records made: {kinds}"] if kinds else []


if __name__ == "__main__":
    sys.exit(main())
