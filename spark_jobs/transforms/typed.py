"""Values of every type of `schemas.types`, read strictly from marked texts.

`sent` is a marked text (`spark_jobs.transforms.marked`). Each function returns the value to store,
or null if `sent` is null, has another type, or breaks a rule of its field.

    integer    a number without fraction (`1.0` and `1e3` too, as JSON Schema has it), in 64 bits
    number     a number in the range of doubles, rounded to the nearest
    decimal    a number, or a text of the same form if the field may be text; never rounded
    boolean    true or false
    timestamp  text as FORMATS has it, or an integer since 1970; UTC, cut to milliseconds, 1900-9999
    date       a day that exists, 1900-9999
    string     a text; a number's text, as sent, if the field may be a number too
    array      every element has its type and obeys its rules; none is null or blank

With `x-coerce`, a text stands for the number or boolean that it spells, white space around it
ignored; `true` and `false` in any case.
"""

from __future__ import annotations

import sys
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import reduce
from operator import and_
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.contract import FieldContract
from schemas.types import (
    EPOCH_END,
    EPOCH_UNITS,
    FORMATS,
    GREATEST_INTEGER,
    LEAST_INTEGER,
    NUMBER,
)
from spark_jobs.transforms import timestamps
from spark_jobs.transforms.marked import body, elements
from spark_jobs.transforms.validate import ruled_choice, ruled_text, trimmed

# Digits of 64 bits.
INTEGER_DIGITS: Final = 19
MICROSECONDS: Final = EPOCH_UNITS["microseconds"]


def typed(field: FieldContract, sent: Column) -> Column:
    """Return the field's value in the type `field.stored_as.spark`; null as the module says."""
    items = field.items
    if items is None:
        return _scalar(field, sent)
    values = F.transform(elements(sent), lambda element: _scalar(items, element))
    return F.when(~F.exists(values, lambda value: value.isNull()), values)


def _scalar(field: FieldContract, sent: Column) -> Column:
    if field.epoch:
        return _epoch(field, sent)
    if field.kind == "integer":
        value = _within(field, _integer(field, sent))
        return F.when(value.isin(*field.values), value) if field.values else value
    if field.kind == "number":
        number = _number_text(field, sent).cast("double")
        return _within(field, F.when(F.abs(number) <= sys.float_info.max, number))
    if field.kind == "decimal":
        return _within(field, exact(_number_text(field, sent), field.precision, field.scale))
    if field.kind == "boolean":
        return _boolean(field, sent)
    text = _text(field, sent)
    if field.kind == "timestamp":
        at = timestamps.instant(text, ".*")
        return F.when(timestamps.is_in_range(at), timestamps.cut_to_milliseconds(at))
    if field.kind == "date":
        return text.cast("date")
    if field.kind == "uuid":
        return F.lower(text)
    return text


def _is(text: Column, pattern: str) -> Column:
    return text.rlike(rf"\A(?:{pattern})\z")


def _text(field: FieldContract, sent: Column) -> Column:
    """Return a string that obeys its field, or a number's text if the field may be one."""
    is_text = sent.startswith("s")
    if {"number", "integer"} & {*field.types}:
        is_text = is_text | sent.startswith("n")
    text = F.when(is_text, body(sent))
    if field.values:
        return ruled_choice(field, text)
    ruled = ruled_text(field, text)
    own = FORMATS.get(field.kind)
    return F.when(_is(ruled, own), ruled) if own and own != field.pattern else ruled


def _number_text(field: FieldContract, sent: Column) -> Column:
    """Return the digits of a number, or of a text that may stand for one."""
    number = F.when(sent.startswith("n"), body(sent))
    if not field.coerce and "string" not in field.types:
        return number
    text = body(sent)
    if field.coerce or field.trim:
        text = trimmed(text)
    return number.when(sent.startswith("s") & _is(text, NUMBER), text)


def exact(number: Column, precision: int, scale: int) -> Column:
    """Return a number's text as a decimal without rounding; null if it has too many digits.

    A cast alone rounds what has too many digits after its point. Most texts are short enough as
    they are; for the rest, zeros at the ends and the exponent are counted.
    """
    kind, whole = f"decimal({precision},{scale})", precision - scale
    fraction_form = rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""
    is_short = _is(number, rf"-?[0-9]{{1,{whole}}}{fraction_form}") if whole else F.lit(False)
    before = F.regexp_extract(number, r"\A-?([0-9]+)", 1)
    after = F.regexp_extract(number, r"\A-?[0-9]+\.([0-9]+)", 1)
    # As a double, which no length of an exponent overflows.
    exponent = F.coalesce(
        F.nullif(F.regexp_extract(number, r"[eE](.+)\z", 1), F.lit("")).cast("double"), F.lit(0.0)
    )
    digits = F.regexp_replace(F.concat(before, after), r"\A0+", "")
    kept = F.regexp_replace(digits, r"0+\z", "")
    decimals = F.length(after) - exponent - (F.length(digits) - F.length(kept))
    fits = (decimals <= scale) & (F.length(kept) - decimals <= whole)
    return (
        F.when(is_short, number.cast(kind))
        .when(kept == "", F.lit(Decimal(0)).cast(kind))
        .when(fits, number.cast(kind))
    )


def _integer(field: FieldContract, sent: Column) -> Column:
    value = exact(_number_text(field, sent), INTEGER_DIGITS, 0)
    fits = value.between(F.lit(LEAST_INTEGER), F.lit(GREATEST_INTEGER))
    return F.when(fits, value.cast("bigint"))


def _epoch(field: FieldContract, sent: Column) -> Column:
    unit = EPOCH_UNITS[field.epoch or "seconds"]
    count = _within(field, _integer(field, sent))
    is_in_range = count.between(F.lit(0), F.lit(EPOCH_END * unit - 1))
    at = F.timestamp_micros(F.when(is_in_range, count) * F.lit(MICROSECONDS // unit))
    return timestamps.cut_to_milliseconds(at)


def _boolean(field: FieldContract, sent: Column) -> Column:
    if field.coerce:
        text = F.lower(trimmed(body(sent)))
        sent = F.when(sent.startswith("s"), text).otherwise(sent)
    return F.when(sent.isin("true", "false"), sent == "true")


def _within(field: FieldContract, value: Column) -> Column:
    rules = []
    if field.minimum is not None:
        rules.append(value >= _bound(field, field.minimum, ROUND_CEILING))
    if field.maximum is not None:
        rules.append(value <= _bound(field, field.maximum, ROUND_FLOOR))
    return F.when(reduce(and_, rules), value) if rules else value


def _bound(field: FieldContract, bound: Decimal, rounding: str) -> Column:
    if field.kind == "number":
        return F.lit(float(bound))
    if field.kind == "decimal":
        return F.lit(format(bound, "f")).cast(field.stored_as.spark)
    return F.lit(int(bound.to_integral_value(rounding)))
