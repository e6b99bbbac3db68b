"""What the producers' command lines share: options, progress, the last line, the exit code."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from errors import MillraceError
from producers.delivery import CHUNK, Delivery
from producers.messages import Message, SendCounts
from producers.pacing import ProducerStop
from runtime.output import escape_output, plain
from runtime.presence import seen_at_work
from runtime.surroundings import keep_private
from settings import Settings, load_settings

PROGRESS_SECONDS: Final = 5.0
LARGEST_SEED: Final = 2**32


class DeliveryObserver(Protocol):
    """Follows a producer's messages in more detail than their counts."""

    def confirmed(self, number: int) -> None:
        """The broker has message `number`, counted from 1 in the order of sending."""

    def close(self) -> list[str]:
        """Called after the last confirmation; returns lines to print before the counts."""


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
    add_brokers(parser, defaults)
    return parser


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
    account: DeliveryObserver | None = None,
    options: Mapping[str, Any] | None = None,
    chunk: int = CHUNK,
) -> int:
    """Send what `source` yields, show progress, print the last line, return the exit code.

    Args:
        settings: The broker's address and credentials.
        topic: The topic to send to.
        source: Called once the broker has answered; yields the messages.
        rate: Messages per second; 0 = unlimited.
        total: Expected number of messages; 0 = endless.
        note: A line about the source, printed at the start.
        account: Notified of each message that the broker confirms.
        options: Client library options that override the usual ones.
        chunk: Messages between two looks at progress; few for a source that waits.
    """
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    stop = ProducerStop()
    stop.on_signals()
    say(note)
    counts, code = SendCounts(), 0
    with seen_at_work(settings.millrace_home, f"producer-{topic}"):
        try:
            confirmed = account.confirmed if account else None
            delivery = Delivery(settings, topic, stop=stop, options=options, confirmed=confirmed)
            counts = delivery.counts
            try:
                delivery.connect()
                with _progress(topic, total) as progress:
                    messages = source(settings, stop)
                    delivery.send_all(messages, rate=rate, progress=progress, chunk=chunk)
                    delivery.close(progress=progress)
            finally:
                delivery.abandon()
        except MillraceError as error:
            complain(error)
            code = 1
        for line in account.close() if account else ():
            say(line)
        say(str(counts))
    return (code or stop.exit_code) if counts.complete else 1


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


class PlainProgress(AbstractContextManager["PlainProgress"]):
    """A line on standard error every few seconds, for logs and pipes."""

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._at = clock()
        self._delivered = 0

    def update(self, counts: SendCounts) -> None:
        """Write a line if the last one is long enough ago."""
        elapsed = self._clock() - self._at
        if elapsed < PROGRESS_SECONDS:
            return
        speed = (counts.delivered - self._delivered) / elapsed
        sys.stderr.write(f"{self._topic}: {counts} ({speed:,.0f} per second)\n")
        sys.stderr.flush()
        self._at += elapsed
        self._delivered = counts.delivered

    def __exit__(self, *_: object) -> None:
        return None


class BarProgress(AbstractContextManager["BarProgress"]):
    """A progress bar, for terminals."""

    def __init__(self, topic: str, total: int, console: Console) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}/s"), TimeElapsedColumn(), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task(topic, total=total or None, speed="0")
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def update(self, counts: SendCounts) -> None:
        """Move the bar."""
        elapsed = max(time.monotonic() - self._started, 1e-6)
        speed = f"{counts.delivered / elapsed:,.0f}"
        self._bar.update(self._task, completed=counts.delivered, speed=speed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def _progress(topic: str, total: int) -> PlainProgress | BarProgress:
    console = Console(file=plain(sys.stderr))
    return BarProgress(topic, total, console) if console.is_terminal else PlainProgress(topic)
