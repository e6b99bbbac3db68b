"""Sends dead letters back to their source topic: each once, whatever interrupts it.

Messages go in small Kafka transactions, each message together with a note of its coordinates on
the topic `<source>-redriven`; so a message and its note are both there or neither is. A run first
takes over the one transactional id of the source topic: the broker then finishes or aborts what a
dead or living predecessor left open and takes nothing more from it. Only after that are the notes
read, and what is noted is passed over. Jobs and operators read committed messages only.
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

from operations.dead_letters.options import Request
from operations.dead_letters.reader import PARKED, REDRIVEN, DeadLetter, read_letters
from operations.dead_letters.redrive_sender import Sender
from operations.tables import print_table
from producers.pacing import Pacer, ProducerStop
from settings import Settings

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
# A transaction holds up readers of its topic while it is open: it is kept short.
BATCH_MESSAGES = 100
BATCH_BYTES = 8 * 1024 * 1024
BATCH_SECONDS = 1.0
PROGRESS_SECONDS = 5.0


@dataclass
class Tally:
    """What became of the chosen dead letters.

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


def redrive(settings: Settings, request: Request) -> int:
    """Send the chosen letters that wait; gives the exit code. The last line is the tally.

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


def _send(settings: Settings, request: Request, tally: Tally, stop: ProducerStop) -> None:
    pacer, told = Pacer(request.rate), time.monotonic()
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
                if time.monotonic() - told >= PROGRESS_SECONDS:
                    told = time.monotonic()
                    sys.stderr.write(f"{topic}: {tally}\n")


def _dry_run(settings: Settings, request: Request, tally: Tally, stop: ProducerStop) -> None:
    """Say what would be sent; the broker is only read, so that a run elsewhere goes on."""
    letters: Counter[tuple[str, str]] = Counter()
    octets: Counter[tuple[str, str]] = Counter()
    for pipeline in request.pipelines:
        topic = pipeline.topic(settings)
        left = None if request.most is None else request.most - letters.total()
        for letter in islice(_waiting(settings, topic, request, tally, stop), left):
            kind = (letter.topic, ",".join(letter.reasons))
            letters[kind] += 1
            octets[kind] += letter.size
    rows = [(*kind, number, octets[kind]) for kind, number in sorted(letters.items())]
    if rows:
        print_table("would be sent", ("topic", "reasons", "dead letters", "bytes"), rows)
    sys.stdout.write(f"dry run: {letters.total()} would be sent, nothing was\n")


def _waiting(
    settings: Settings, topic: str, request: Request, tally: Tally, stop: ProducerStop
) -> Iterator[DeadLetter]:
    """The chosen letters that are to be sent; the others are counted."""
    for letter in read_letters(settings, topic):
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
    """Letters at the asked rate, in parts for one transaction each; after a stop, none."""
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
    """Ctrl-C and SIGTERM end after the transaction in work, a second one at once: both are safe."""

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
