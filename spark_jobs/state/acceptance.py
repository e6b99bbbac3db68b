"""What a user lets a start go over, and the options that say so."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

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
