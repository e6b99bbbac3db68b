"""Another value of the same type, as near as the type has one."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from cassandra.util import Date

# In every text that a tampering puts in.
MARK: Final = "tampered"
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DIGEST: Final = re.compile(r"[0-9a-f]{8}|[0-9a-f]{64}")


def other(value: Any) -> Any:
    """A value that differs; of a time, by a millisecond, of a number, by one in the last digit."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value + 0.5
        case Decimal():
            return value + Decimal(1).scaleb(int(value.as_tuple().exponent))
        case UUID():
            return UUID(int=value.int ^ 1)
        case datetime():
            return value + timedelta(milliseconds=1)
        case Date():
            return Date(value.days_from_epoch + 1)
        case date():
            return value + timedelta(days=1)
        case list():
            return [*value, MARK]
        case str():
            return _other_text(value)
    raise TypeError(f"no other value of {type(value).__name__}")


def _other_text(text: str) -> str:
    if INSTANT.fullmatch(text):
        later = datetime.fromisoformat(text) + timedelta(milliseconds=1)
        return f"{later:%Y-%m-%dT%H:%M:%S}.{later.microsecond // 1000:03d}Z"
    if DIGEST.fullmatch(text):
        return text[:-1] + ("0" if text[-1] != "0" else "1")
    if text.isdecimal():
        return str(int(text) + 1).zfill(len(text))
    return f"{text} {MARK}"


def text_of(value: Any) -> str:
    """A value in the form of ids."""
    if isinstance(value, datetime):
        # Drivers that give no zone give UTC.
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    return str(value)
