"""Rules of the contracts as column functions: a value or null, then a reason or null.

`sent` is always the text as sent. A rule gives the value to store, null where the rule is broken;
`reason` then tells missing from invalid. So a valid record pays for each rule once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.contract import WHITE_SPACE, FieldContract
from spark_jobs.transforms.outcomes import INVALID_TIMESTAMP, has_invalid_timestamp

# Of a character in UTF-8.
MOST_OCTETS: Final = 4


def trimmed(text: Column) -> Column:
    """Take Unicode white space off both ends (Spark's own trim knows the blank only)."""
    return F.btrim(text, F.lit(WHITE_SPACE))


def _trimmed_field(sent: Column) -> Column:
    """The same for a field as sent, which costs nothing to ask for several times.

    Nearly every text begins and ends with a visible ASCII character, which two bytes tell; to trim,
    Spark lays a list of all its characters out.
    """
    octets = sent.cast("binary")
    visible = [F.substring(octets, place, 1).between(F.lit(b"!"), F.lit(b"~")) for place in (1, -1)]
    return F.when(reduce(and_, visible), sent).otherwise(trimmed(sent))


def is_blank(text: Column) -> Column:
    """Tell whether a text is null, empty or white space only."""
    return F.coalesce(trimmed(text) == "", F.lit(True))


def ruled_text(field: FieldContract, sent: Column) -> Column:
    """Return the text, trimmed where the contract says so, or null where it breaks a rule."""
    text = _trimmed_field(sent) if field.trim else sent
    filled = _trimmed_field(sent) != ""
    rules = [text.rlike(rf"\A(?:{field.pattern})\z") if field.pattern else filled]
    if field.min_length is not None or field.max_length is not None:
        rules.append(_has_length(text, field.min_length or 0, field.max_length))
    return F.when(reduce(and_, rules), text)


def _has_length(text: Column, least: int, most: int | None) -> Column:
    """Tell whether a text has so many characters; counts them only where its bytes leave it open.

    A character takes one to four bytes in UTF-8.
    """
    octets, characters = F.octet_length(text), F.char_length(text)
    surely, exactly = octets >= MOST_OCTETS * least, characters >= least
    if most is not None:
        surely, exactly = surely & (octets <= most), exactly & (characters <= most)
    return F.when(surely, F.lit(True)).otherwise(exactly)


def ruled_choice(field: FieldContract, sent: Column) -> Column:
    """Return the canonical value of an enumeration, or null for a spelling it does not know."""
    pairs = [F.lit(text) for pair in field.spellings.items() for text in pair]
    return F.try_element_at(F.create_map(*pairs), F.lower(_trimmed_field(sent)))


def reason(field: FieldContract, sent: Column, value: Column) -> Column:
    """Return `missing_…` or `invalid_…` where a required field has no value to store."""
    missing, invalid = (F.lit(f"{kind}_{field.reason_suffix}") for kind in ("missing", "invalid"))
    return F.when(value.isNull(), F.when(is_blank(sent), missing).otherwise(invalid))


def all_reasons(record: Column, values: Sequence[Column], reasons: Sequence[Column]) -> Column:
    """Gather reason codes, in the order given; expects `kafka_timestamp`.

    `invalid_kafka_timestamp` stands alone, and so does `unparseable` where there is no record.
    """
    any_missing = reduce(or_, (value.isNull() for value in values))
    return (
        F.when(has_invalid_timestamp(), F.array(F.lit(INVALID_TIMESTAMP)))
        .when(record.isNull(), F.array(F.lit("unparseable")))
        .when(any_missing, F.array_compact(F.array(*reasons)))
        .otherwise(F.array().cast("array<string>"))
    )
