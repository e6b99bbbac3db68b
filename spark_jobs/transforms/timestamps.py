"""Instants and dates, always in UTC, whatever the session's time zone."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

# The contract's bounds as instants; a cast gives microseconds.
EARLIEST: Final = "1900-01-01T00:00:00Z"
LATEST: Final = "9999-12-31T23:59:59.999999Z"
# Allowed by the contract but not by a cast: t and z, more than 6 digits, no colon in the offset.
NOT_FOR_CAST: Final = r"[tz]|\.[0-9]{7}|[+-][0-9]{4}\z"


def instant(text: Column, pattern: str) -> Column:
    r"""Read a timestamp in the contracts' form; null for anything else.

    A cast alone accepts bare dates, missing zones and region names, so the form is checked first.
    The cast then checks the values: 30 February, 25 o'clock. The fraction is cut (not rounded) to
    microseconds. Check the result with `is_in_range` in a separate projection; otherwise the cast
    runs once per mention.

    Args:
        text: The text as sent.
        pattern: The contract's pattern, without anchors.
    """
    six_digits = F.regexp_replace(F.upper(text), r"(\.[0-9]{6})[0-9]+", "$1")
    with_colon = F.regexp_replace(six_digits, r"([+-][0-9]{2})([0-9]{2})\z", "$1:$2")
    for_cast = F.when(text.rlike(NOT_FOR_CAST), with_colon).otherwise(text)
    return F.when(text.rlike(rf"\A(?:{pattern})\z"), for_cast).cast("timestamp")


def is_in_range(at: Column) -> Column:
    """Return whether the UTC year is 1900-9999; the pattern checks only the year as written."""
    return at.between(*(F.lit(bound).cast("timestamp") for bound in (EARLIEST, LATEST)))


def cut_to_milliseconds(at: Column) -> Column:
    """Drop fractions of a millisecond, which neither Cassandra nor MongoDB keeps."""
    return F.date_trunc("millisecond", at)


def iso_sql(at: str) -> str:
    """Return SQL for an instant as `2026-11-22T10:11:12.345Z`, whatever the session's time zone."""
    second = f"unix_seconds({at})"
    date = f"CAST(date_from_unix_date(CAST(floor({second} / 86400) AS INT)) AS STRING)"
    parts = (
        f"floor(pmod({second}, 86400L) / 3600)",
        f"floor(pmod({second}, 3600L) / 60)",
        f"pmod({second}, 60L)",
        f"pmod(unix_millis({at}), 1000L)",
    )
    digits = ", ".join(f"CAST({part} AS INT)" for part in parts)
    return f"IF({at} IS NULL, NULL, format_string('%sT%02d:%02d:%02d.%03dZ', {date}, {digits}))"


def utc_hour(at: Column) -> Column:
    """Return the start of the UTC hour, as a timestamp."""
    return F.timestamp_seconds(F.unix_seconds(at) - F.pmod(F.unix_seconds(at), F.lit(3600)))


def utc_date(at: Column) -> Column:
    """Return the UTC date; `to_date` would use the session's time zone."""
    days = (F.unix_seconds(at) - F.pmod(F.unix_seconds(at), F.lit(86400))) / 86400
    return F.date_from_unix_date(days.cast("int"))
