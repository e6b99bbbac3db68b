"""Words the findings of start checks: what differs, how much is affected, and the choices.

Nothing starts while there is a finding. An option accepts some findings; the others need the
difference put right, or a start from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence

from errors import JobError
from runtime import remedies
from settings import Settings


def finding(settings: Settings, pipeline: str, problem: str, *choices: str) -> str:
    """One finding as text; starting from scratch is always the last choice."""
    family = pipeline.partition("-")[0]
    reset = (
        f"`{remedies.reset(family, settings)}` deletes its checkpoint and stored data; the next job"
        " reads the topic from its beginning"
    )
    listed = "".join(f"\n  - {choice};" for choice in choices)
    return f"Pipeline {pipeline}: {problem} Choose:{listed}\n  - {reset}."


NOTHING_STARTED = "Nothing was started and nothing was changed."


def refuse(findings: Sequence[str], closing: str = NOTHING_STARTED) -> None:
    """Refuse to start if there are findings; `closing` says what state this leaves.

    Raises:
        JobError: with every finding and its choices.
    """
    if findings:
        raise JobError("\n".join([*findings, closing]))
