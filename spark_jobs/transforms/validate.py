"""Rules of the contracts as column functions: a value or null, then a reason or null.

`sent` is always the text as sent. A rule returns the value to store, or null if the rule is broken;
`reason` then distinguishes missing from invalid. So a valid record pays for each rule once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.contract import WHITE_SPACE, FieldContract
from schemas.patterns import safe_length
from spark_jobs.transforms.outcomes import INVALID_TIMESTAMP, UNPARSEABLE, has_invalid_timestamp

# The most that a character takes in UTF-8.
MAX_CHARACTER_BYTES: Final = 4


def trimmed(text: Column) -> Column:
    """Remove Unicode white space from both ends (Spark's own trim removes only blanks)."""
    return F.btrim(text, F.lit(WHITE_SPACE))


def trimmed_field(sent: Column) -> Column:
    """Like `trimmed`, for a field as sent, whose repeated evaluation costs nothing.

    Nearly every text begins and ends with a visible ASCII character, which two bytes show; trimming
    makes Spark split the text into all its characters.
    """
    utf8 = sent.cast("binary")
    visible = [F.substring(utf8, place, 1).between(F.lit(b"!"), F.lit(b"~")) for place in (1, -1)]
    return F.when(reduce(and_, visible), sent).otherwise(trimmed(sent))


def is_blank(text: Column) -> Column:
    """Return whether a text is null, empty or only white space."""
    return F.coalesce(trimmed(text) == "", F.lit(True))


def text_to_rule(field: FieldContract, sent: Column) -> Column:
    """Return the text, trimmed if the contract says so."""
    return trimmed_field(sent) if field.trim else sent


def ruled_text(field: FieldContract, text: Column) -> Column:
    """Return `text_to_rule`, best as a column of an earlier layer, or null if it breaks a rule.

    A text that is too long never meets the pattern, for which Java's stack might not suffice; of an
    `AND`, Spark may compute both sides.
    """
    safe = safe_length(field.pattern, field.max_length) if field.pattern else None
    most = field.max_length if safe is None else safe
    filled = (text if field.trim else trimmed_field(text)) != ""
    ruled = F.when(text.rlike(rf"\A(?:{field.pattern})\z") if field.pattern else filled, text)
    if field.min_length is not None or most is not None:
        return F.when(_has_length(text, field.min_length or 0, most), ruled)
    return ruled


def _has_length(text: Column, least: int, most: int | None) -> Column:
    """Return whether a text's number of characters is within bounds.

    A character takes one to four bytes in UTF-8, so they are counted only if the number of bytes
    does not decide.
    """
    size, characters = F.octet_length(text), F.char_length(text)
    surely, exactly = size >= MAX_CHARACTER_BYTES * least, characters >= least
    if most is not None:
        surely, exactly = surely & (size <= most), exactly & (characters <= most)
    return F.when(surely, F.lit(True)).otherwise(exactly)


def ruled_choice(field: FieldContract, sent: Column) -> Column:
    """Return the canonical value of an enumeration, or null for an unknown spelling."""
    pairs = [F.lit(text) for pair in field.spellings.items() for text in pair]
    return F.try_element_at(F.create_map(*pairs), F.lower(trimmed_field(sent)))


def reason(field: FieldContract, sent: Column, value: Column) -> Column:
    """Return `missing_…` or `invalid_…` if a required field has no value to store, else null."""
    missing, invalid = (F.lit(f"{kind}_{field.reason_suffix}") for kind in ("missing", "invalid"))
    return F.when(value.isNull(), F.when(is_blank(sent), missing).otherwise(invalid))


def reason_if_given(field: FieldContract, sent: Column, value: Column) -> Column:
    """Return `invalid_…` if an optional field was given and has no value to store, else null."""
    invalid = F.lit(f"invalid_{field.reason_suffix}")
    return F.when(value.isNull() & ~is_blank(sent), invalid)


def all_reasons(record: Column, values: Sequence[Column], reasons: Sequence[Column]) -> Column:
    """Return all reason codes in the given order; expects `kafka_timestamp`.

    `invalid_kafka_timestamp` is always the only one, and so is `unparseable` if there is no record.
    """
    any_missing = reduce(or_, (value.isNull() for value in values))
    return (
        F.when(has_invalid_timestamp(), F.array(F.lit(INVALID_TIMESTAMP)))
        .when(record.isNull(), F.array(F.lit(UNPARSEABLE)))
        .when(any_missing, F.array_compact(F.array(*reasons)))
        .otherwise(F.array().cast("array<string>"))
    )
