"""Whether a text in the form of a time or a day names one that exists."""

from __future__ import annotations

from datetime import UTC, date, datetime

from schemas.types import Kind


def exists(kind: Kind, text: str) -> bool:
    """Whether an instant or day in the right form exists, in the years that a contract takes."""
    try:
        if kind == "timestamp":
            return 1900 <= instant(text).year <= 9999
        if kind == "date":
            date.fromisoformat(text)
    except (ValueError, OverflowError):
        return False
    return True


def instant(text: str) -> datetime:
    """The instant of a text in the contract's form, in UTC."""
    return datetime.fromisoformat(text.strip().upper()).astimezone(UTC)
