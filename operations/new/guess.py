"""What a field is taken for, and the reasons that hold for every type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from operations.new.observed import Observed
from schemas.contract import WHITE_SPACE
from schemas.types import Kind

# Records can be grouped by this many values at most, each this often on average; to refuse any
# other value, it must be more often.
MOST_CHOICES: Final = 20
LEAST_REPEATS: Final = 2
REPEATS_OF_ENUM: Final = 3
LONGEST_CHOICE: Final = 40
# Generous, as the sample does not have the longest text there will be.
LENGTHS: Final = (64, 128, 255, 500, 1_000, 2_000, 5_000, 10_000, 50_000)


@dataclass(frozen=True)
class Guess:
    """What a field is taken for.

    Attributes:
        kind: What a value is, or an element of an array.
        keywords: The keywords of the contract that say so.
        why: The reason, for a comment.
        is_array: Whether it is an array.
        choices: How many distinct values, if they are few and repeat, so that records can be
            grouped by them; else 0.
        adds_up: `total` or `average` if a measure of it says something.
        moment: Kind and Spark SQL of the instant or day that a text spells in a form that no
            contract has; `{}` stands for the column, and a text that spells none gives null.
    """

    kind: Kind
    keywords: Mapping[str, Any]
    why: str
    is_array: bool = False
    choices: int = 0
    adds_up: str | None = None
    moment: tuple[Kind, str] | None = None

    @property
    def takes_text(self) -> bool:
        """Whether a text is a value of it, and not only what spells one."""
        return "string" in self.keywords["type"]


def share_of(observed: Observed) -> str:
    """In how many records a field is, as words."""
    filled, every = len(observed.filled), len(observed.values)
    if filled == every:
        return f"in all {filled} records" if filled > 1 else "in the only record"
    return f"in {filled} of {every} records"


def few(values: Sequence[Any]) -> int:
    """How many distinct values, if they are few, short and repeat; else 0."""
    distinct = {*values}
    are_few = len(distinct) <= MOST_CHOICES and len(distinct) * LEAST_REPEATS <= len(values)
    are_short = all(len(str(value)) <= LONGEST_CHOICE for value in distinct)
    return len(distinct) if are_few and are_short else 0


def room(texts: Sequence[str]) -> int:
    """A maximum length that leaves room for longer texts than these."""
    longest = max(map(len, texts))
    return next((each for each in LENGTHS if each >= 2 * longest), 4 * longest)


def text_or_number(values: Sequence[Any], why: str) -> Guess:
    """Texts and numbers in one field, or numbers that no type holds: read as text."""
    texts = [str(value) for value in values]
    is_padded = any(text != text.strip(WHITE_SPACE) for text in texts)
    trim = {"x-trim": True} if is_padded else {}
    keywords = {"type": ["string", "number"], "maxLength": room(texts), **trim}
    return Guess("string", keywords, why)
