"""All errors that Millrace raises for a user to read.

MillraceError
├── SettingsError      a setting is missing or wrong
├── StackError         a service of the embedded stack cannot be prepared, started or stopped
├── ContractError      a schema file breaks its own rules
├── DeliveryError      a producer could not send everything to the broker; its source failed
├── JobError           a job must not start, or stopped (checkpoint, ledger, topic)
└── SinkError          a store is down (`SinkUnavailable`) or refused a write (`SinkRejected`) or
                        a question (`RequestError`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class MillraceError(Exception):
    """Root of all errors that Millrace raises for a user to read: what, why, what to do next.

    Attributes:
        exit_code: Exit code of the `millrace` command.
    """

    exit_code: int = 1


class SettingsError(MillraceError):
    """One or more settings are missing or wrong; the text lists every one."""


class StackError(MillraceError):
    """A service of the embedded stack could not be prepared, started, reached or stopped."""


class EngineMissing(StackError):
    """STACK needs something that this machine does not have, so the user must choose."""

    exit_code = 2


class ContractError(MillraceError):
    """A schema file breaks the rules of its own format.

    Attributes:
        faults: Each of them, most with the field in front: "`amount`: …".
        partial: The contract without the keywords that are wrong; None if nothing could be read.
    """

    def __init__(self, text: str, faults: Sequence[str] = (), partial: Any = None) -> None:
        super().__init__(text)
        self.faults = tuple(faults) or (text,)
        self.partial = partial


class DeliveryError(MillraceError):
    """A producer could not send everything to the broker."""


class JobError(MillraceError):
    """A job must not start, or had to stop, so that no record is lost or counted twice."""


class SinkError(MillraceError):
    """A store did not confirm a write; records are kept and the batch is repeated."""


class SinkUnavailable(SinkError):
    """The store cannot be reached; a later retry can help."""


class SinkRejected(SinkError):
    """The store refused the write; a person must change something first."""


class RequestError(SinkRejected):
    """A store cannot be asked like that: a name, a value or a page of the request does not fit."""


class PipelineError(MillraceError):
    """A declaration of a pipeline cannot be used, or there is none of that name."""
