"""The options by which a user accepts findings of the start checks."""

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
    """Which findings of the start checks the user accepts."""

    loss: bool = False
    partitions: bool = False
    code: bool = False
    clock: bool = False


NOTHING = Accepted()


def add_acceptance(parser: ArgumentParser) -> None:
    """Add the options by which a user accepts findings of the start checks."""
    parser.add_argument(
        ACCEPT_LOSS,
        action="store_true",
        help="continue after unread messages that aged out on the broker; the ledger lists them",
    )
    parser.add_argument(
        ACCEPT_PARTITIONS,
        action="store_true",
        help="continue although the topic has new partitions; they are read from their beginning",
    )
    parser.add_argument(
        ACCEPT_CODE,
        action="store_true",
        help="repeat with this code a batch that different code began; then run `make verify`",
    )
    parser.add_argument(
        ACCEPT_CLOCK,
        action="store_true",
        help="continue if the clock is right: it was wrong before, or the machine was suspended",
    )


def accepted(options: Namespace) -> Accepted:
    """The values of `add_acceptance`'s options."""
    return Accepted(
        options.accept_loss, options.accept_partitions, options.accept_code, options.accept_clock
    )
