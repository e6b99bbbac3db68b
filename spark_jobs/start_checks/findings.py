"""What the checks before a start find, in words: what differs, how much it concerns, the choices.

Nothing starts while there is a finding. Some go away by an option, which accepts what they say;
the others by setting right what differs, or by starting anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from errors import JobError
from runtime import remedies
from settings import Settings


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
