"""What the checks before a start find, in words: what differs, how much it concerns, the choices.

Nothing starts while there is a finding. Some go away by an option, which accepts what they say;
the others by setting right what differs, or by starting anew.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import remedies
from settings import JobError, Settings

Ranges = Mapping[int, tuple[int, int]]
ACCEPT_LOSS, ACCEPT_PARTITIONS, ACCEPT_CODE, ACCEPT_CLOCK = (
    "--accept-loss",
    "--accept-partitions",
    "--accept-code",
    "--accept-clock",
)


@dataclass(frozen=True)
class Accepted:
    """What the user lets a start go over."""

    loss: bool = False
    partitions: bool = False
    code: bool = False
    clock: bool = False


NOTHING = Accepted()


def add_acceptance(parser: ArgumentParser) -> None:
    """Add the options by which a user accepts what the checks before a start say."""
    parser.add_argument(
        ACCEPT_LOSS,
        action="store_true",
        help="go on where unread messages have aged out on the broker; the ledger names them",
    )
    parser.add_argument(
        ACCEPT_PARTITIONS,
        action="store_true",
        help="go on where the topic got more partitions; they are read from their beginning",
    )
    parser.add_argument(
        ACCEPT_CODE,
        action="store_true",
        help="repeat with this code a batch that other code has begun; run `make verify` then",
    )
    parser.add_argument(
        ACCEPT_CLOCK,
        action="store_true",
        help="go on where the machine stood still, or its clock was wrong before and is right now",
    )


def accepted(options: Namespace) -> Accepted:
    """What the options of `add_acceptance` say."""
    return Accepted(
        options.accept_loss, options.accept_partitions, options.accept_code, options.accept_clock
    )


def finding(settings: Settings, pipeline: str, problem: str, *choices: str) -> str:
    """One finding as text; to start anew is always the last choice."""
    family = pipeline.partition("-")[0]
    reset = (
        f"`{remedies.reset(family, settings)}` deletes its checkpoint and stored data; the next job"
        " reads the topic from its beginning"
    )
    listed = "".join(f"\n  - {choice};" for choice in choices)
    return f"Pipeline {pipeline}: {problem} Choose:{listed}\n  - {reset}."


NOTHING_STARTED = "Nothing was started and nothing was changed."


def refuse(findings: Sequence[str], closing: str = NOTHING_STARTED) -> None:
    """Refuse to start where anything was found; `closing` says how things stand then.

    Raises:
        JobError: names every finding with its choices.
    """
    if findings:
        raise JobError("\n".join([*findings, closing]))


def width(ranges: Ranges) -> int:
    """How many offsets lie in ranges."""
    return sum(max(0, end - start) for start, end in ranges.values())


def overlap(ranges: Ranges, others: Ranges) -> dict[int, tuple[int, int]]:
    """The offsets that lie in both."""
    both = {
        partition: (max(start, others[partition][0]), min(end, others[partition][1]))
        for partition, (start, end) in ranges.items()
        if partition in others
    }
    return {partition: (start, end) for partition, (start, end) in both.items() if start < end}


def told(ranges: Ranges) -> str:
    """Ranges in words: `partition 0, offsets 5 to 104; partition 2, offset 7`."""
    return "; ".join(
        f"partition {partition}, "
        + (f"offsets {start} to {end - 1}" if end - start > 1 else f"offset {start}")
        for partition, (start, end) in sorted(ranges.items())
        if end > start
    )
