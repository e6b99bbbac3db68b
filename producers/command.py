"""What the producers' command lines share: options, progress, the last line, the exit code."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from errors import MillraceError
from producers.delivery import CHUNK, Delivery
from producers.messages import Message, SendCounts
from producers.pacing import ProducerStop
from producers.progress import progress_of, warn
from producers.reports import BLOCK
from runtime.output import escape_output
from runtime.presence import seen_at_work
from runtime.surroundings import keep_private
from settings import Settings, load_settings

LARGEST_SEED: Final = 2**32

MessageSource = Callable[[Settings, ProducerStop], Iterator[Message]]


def new_parser(module: str, what: str, defaults: Settings) -> argparse.ArgumentParser:
    """Parser with the options that every producer has; the help shows their defaults."""
    parser = argparse.ArgumentParser(
        prog=f"python -m producers.{module}",
        description=f"Send {what} to a Kafka topic. The last line counts sent, delivered and"
        " failed messages; the exit code is 0 only if all sent messages were delivered.",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="the same seed sends the same records (default: new)"
    )
    parser.add_argument(
        "--invalid-ratio", type=ratio, default=0.0, metavar="R",
        help="share of records that break the contract, 0 to 1 (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--duplicate-ratio", type=ratio, default=0.0, metavar="R",
        help="share of records with an id that was sent before, 0 to 1 (default: 0)",
    )  # fmt: skip
    add_from_record(parser)
    add_brokers(parser, defaults)
    return parser


def add_from_record(parser: argparse.ArgumentParser) -> None:
    """Add the option that continues an earlier start."""
    parser.add_argument(
        "--from-record", type=record_number, default=1, metavar="N",
        help="leave out the records before number N, which were sent earlier (default: 1)",
    )  # fmt: skip


def add_brokers(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    """Add the option that names the brokers."""
    parser.add_argument(
        "--bootstrap-servers", metavar="HOST:PORT,…",
        help=f"brokers (default: {defaults.kafka_bootstrap_servers})",
    )  # fmt: skip


def add_rate_and_topic(parser: argparse.ArgumentParser) -> None:
    """Add the options of producers that serve any pipeline."""
    parser.add_argument(
        "--rate", type=per_second, default=0.0, metavar="N",
        help="records per second, 0 = unlimited (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--topic", metavar="NAME", help="(default: the setting <NAME>_TOPIC, else the name)"
    )


def per_second(text: str) -> float:
    """Read a number of records per second; 0 is unlimited."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number, 0 or more, not `{text}`")
    return value


def whole_number(text: str) -> int:
    """Read a number of records."""
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, not `{text}`")
    return int(text)


def record_number(text: str) -> int:
    """Read the number of a record, counted from 1."""
    number = whole_number(text)
    if not number:
        raise argparse.ArgumentTypeError(f"expected 1 or more, not `{text}`")
    return number


def ratio(text: str) -> float:
    """Read a share between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, not `{text}`")
    return value


def check_ratios(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with the usage if the two shares add up to more than 1."""
    if options.invalid_ratio + options.duplicate_ratio > 1:
        parser.error("--invalid-ratio and --duplicate-ratio add up to more than 1")


def chosen_seed(seed: int | None) -> int:
    """The seed given, or a new one."""
    return secrets.randbelow(LARGEST_SEED) if seed is None else seed


def deliver(
    settings: Settings,
    *,
    topic: str,
    source: MessageSource,
    rate: float,
    total: int,
    note: str,
    resume: Callable[[int], str],
    start: int = 1,
    confirmed: Callable[[int], None] | None = None,
    closing: Callable[[], Iterable[str]] = list,
    options: Mapping[str, Any] | None = None,
    chunk: int = CHUNK,
    block: int = BLOCK,
    place: Callable[[int], int] | None = None,
) -> int:
    """Send what `source` yields, show progress, print the last line, return the exit code.

    Args:
        settings: The broker's address and credentials.
        topic: The topic to send to.
        source: Called once the broker has answered; yields the messages.
        rate: Messages per second; 0 = unlimited.
        total: Expected number of messages from the source; 0 = endless.
        note: A line about the source, printed at the start.
        resume: The command that continues with a message of the source, by its number.
        start: The first message of the source to send.
        confirmed: Notified of each message that the broker confirms, by its number from `start` on.
        closing: Called after the last confirmation; returns lines to print before the counts.
        options: Client library options that override the usual ones.
        chunk: Messages between two looks at progress; few for a source that waits.
        block: To how many messages it must be known where to continue.
        place: The number of the source's record that is a message, by its number.
    """
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    stop = ProducerStop()
    stop.on_signals()
    say(note)
    counts, next_number, code = SendCounts(), start, 0
    with seen_at_work(settings.millrace_home, f"producer-{topic}"):
        try:
            delivery = Delivery(
                settings, topic, stop=stop, options=options, confirmed=confirmed, block=block,
                place=place,
            )  # fmt: skip
            counts = delivery.counts
            try:
                delivery.connect()
                with progress_of(topic, max(total - start + 1, 0)) as progress:
                    messages = _from(source(settings, stop), start, stop)
                    delivery.send_all(messages, rate=rate, progress=progress, chunk=chunk)
                    delivery.close(progress=progress)
            finally:
                delivery.abandon()
                next_number = start - 1 + delivery.next_number
        except MillraceError as error:
            complain(error)
            code = 1
        for line in closing():
            say(line)
        if counts.sent and (code or stop) and not 0 < total < next_number:
            _say_how_to_continue(counts, next_number - start, resume(next_number))
        say(str(counts))
    return (code or stop.exit_code) if counts.complete else 1


def _from(messages: Iterator[Message], start: int, stop: ProducerStop) -> Iterator[Message]:
    """The messages from number `start` on."""
    for _ in islice(messages, start - 1):
        if stop:
            break
    return messages


def _say_how_to_continue(counts: SendCounts, confirmed_first: int, command: str) -> None:
    """Print what is not known, and the command that goes on after the first confirmed ones."""
    if counts.unknown:
        warn(f"unknown: {counts.unknown} transmitted message(s) may be on the topic or not")
    later = counts.delivered + counts.unknown - confirmed_first
    note = " (sends some again: an id that is sent twice counts once)" if later > 0 else ""
    warn(f"to continue where this ended{note}:\n  {command}")


def settings_or_exit(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; an invalid one ends the program with an explanation, not a traceback.

    From then on only this user can read its files, and its output shows control characters.
    """
    keep_private()
    escape_output()
    try:
        return load_settings(overrides)
    except MillraceError as error:
        complain(error)
        raise SystemExit(2) from None


def say(line: str) -> None:
    """Print one line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(error: MillraceError) -> None:
    """Print an error's explanation to standard error."""
    sys.stdout.flush()
    sys.stderr.write(f"{error}\n")
    sys.stderr.flush()
