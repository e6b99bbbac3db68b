"""Sends dead letters back to their source topic, each exactly once despite interruptions.

Messages go in small Kafka transactions, each message together with a note of its coordinates on
the topic `<source>-redriven`, so that either both exist or neither. A run first takes over the one
transactional id of the source topic: the broker then completes or aborts what an earlier run left
open and accepts nothing more from it. Only then are the notes read, and dead letters with a note
skipped. Jobs and operators read committed messages only.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import FrameType

from operations.dead_letters.options import DeadLetterRequest
from operations.dead_letters.reader import PARKED, REDRIVEN, DeadLetter, read_dead_letters
from operations.dead_letters.redrive_sender import Sender
from operations.tables import print_table
from producers.pacing import Pacer, ProducerStop
from settings import Settings

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
# An open transaction holds up the topic's readers, so transactions are short.
BATCH_MESSAGES = 100
BATCH_BYTES = 8 * 1024 * 1024
BATCH_SECONDS = 1.0
PROGRESS_SECONDS = 5.0


@dataclass
class Tally:
    """The outcome of the selected dead letters.

    Attributes:
        redriven: Sent by this run.
        parked: Came back too often; not sent.
        skipped: Sent by an earlier run.
        failed: Refused by the broker.
    """

    redriven: int = 0
    parked: int = 0
    skipped: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return (
            f"redriven={self.redriven} parked={self.parked}"
            f" skipped={self.skipped} failed={self.failed}"
        )


def redrive(settings: Settings, request: DeadLetterRequest) -> int:
    """Send the selected dead letters that are waiting; returns the exit code.

    Its last line of output is the tally.

    Raises:
        SinkUnavailable: the broker did not answer.
        JobError: a topic is missing, or the broker stopped answering.
        DeliveryError: the broker did not finish a transaction, or another run took over.
    """
    tally, stop = Tally(), ProducerStop()
    work = _dry_run if request.dry_run else _send
    try:
        with _interruptible(stop):
            work(settings, request, tally, stop)
    finally:
        sys.stdout.write(f"{tally}\n")
        sys.stdout.flush()
    if stop:
        sys.stderr.write("interrupted; run it again for the rest\n")
        return EXIT_INTERRUPTED
    return EXIT_FAILED if tally.failed else 0


def _send(settings: Settings, request: DeadLetterRequest, tally: Tally, stop: ProducerStop) -> None:
    pacer, reported = Pacer(request.rate), time.monotonic()
    for pipeline in request.pipelines:
        topic = pipeline.topic(settings)
        left = None if request.most is None else request.most - tally.redriven
        if stop or left == 0:
            return
        with Sender(settings, topic) as sender:
            waiting = islice(_waiting(settings, topic, request, tally, stop), left)
            for batch in _batches(waiting, pacer, stop):
                refused = sender.send(batch)
                tally.redriven += len(batch) - len(refused)
                tally.failed += len(refused)
                if time.monotonic() - reported >= PROGRESS_SECONDS:
                    reported = time.monotonic()
                    sys.stderr.write(f"{topic}: {tally}\n")


def _dry_run(
    settings: Settings, request: DeadLetterRequest, tally: Tally, stop: ProducerStop
) -> None:
    """Print what would be sent; it takes over no transaction, so other runs are not disturbed."""
    letters: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for pipeline in request.pipelines:
        topic = pipeline.topic(settings)
        left = None if request.most is None else request.most - letters.total()
        for letter in islice(_waiting(settings, topic, request, tally, stop), left):
            kind = (letter.topic, ",".join(letter.reasons))
            letters[kind] += 1
            sizes[kind] += letter.size
    rows = [(*kind, number, sizes[kind]) for kind, number in sorted(letters.items())]
    if rows:
        print_table("would be sent", ("topic", "reasons", "dead letters", "bytes"), rows)
    sys.stdout.write(f"dry run: {letters.total()} would be sent, nothing was\n")


def _waiting(
    settings: Settings, topic: str, request: DeadLetterRequest, tally: Tally, stop: ProducerStop
) -> Iterator[DeadLetter]:
    """The selected dead letters that are waiting; the others are counted."""
    for letter in read_dead_letters(settings, topic):
        if stop:
            return
        if not request.selection.takes(letter):
            continue
        if letter.state == REDRIVEN:
            tally.skipped += 1
        elif letter.state == PARKED:
            tally.parked += 1
        else:
            yield letter


def _batches(
    letters: Iterator[DeadLetter], pacer: Pacer, stop: ProducerStop
) -> Iterator[list[DeadLetter]]:
    """Dead letters at the requested rate, one batch per transaction; none after a stop."""
    batch: list[DeadLetter] = []
    size, started = 0, time.monotonic()
    for letter in letters:
        while not stop and not pacer.due(1):
            if batch and time.monotonic() - started >= BATCH_SECONDS:
                yield batch
                batch, size = [], 0
            time.sleep(pacer.wait_seconds())
        if stop:
            return
        pacer.sent(1)
        if not batch:
            started = time.monotonic()
        batch.append(letter)
        size += letter.size
        if len(batch) == BATCH_MESSAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch and not stop:
        yield batch


@contextmanager
def _interruptible(stop: ProducerStop) -> Iterator[None]:
    """End after the open transaction on Ctrl-C or SIGTERM, at once on a second; both are safe."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.request()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
