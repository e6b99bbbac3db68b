"""Values of every type of `schemas.types`, read strictly from marked texts.

`sent` is a marked text (`spark_jobs.transforms.marked`). The steps of a field lead from it to the
value to store, or to null if `sent` is null, has another type, or breaks a rule of its field.

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
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial, reduce
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
from spark_jobs.transforms.layers import once
from spark_jobs.transforms.marked import body, elements
from spark_jobs.transforms.validate import ruled_choice, ruled_text, trimmed, trimmed_field

Step = Callable[[Column], Column]
# Digits of 64 bits.
INTEGER_DIGITS: Final = 19
MICROSECONDS: Final = EPOCH_UNITS["microseconds"]


def steps(field: FieldContract) -> list[Step]:
    """Return what turns a marked text into the field's value, one step after the other.

    The last one's value has the type `field.stored_as.spark`, and is null as the module says. Each
    mentions what it gets several times, so that should be a column.
    """
    if field.items is not None:
        return [partial(_elements, steps(field.items)), _if_all]
    number, bounds = partial(_number_text, field), _bounds(field)
    if field.epoch:
        return [number, _integer, *bounds, partial(_epoch, EPOCH_UNITS[field.epoch])]
    if field.kind == "integer":
        listed = [lambda value: F.when(value.isin(*field.values), value)] if field.values else []
        return [number, _integer, *bounds, *listed]
    if field.kind == "number":
        return [lambda sent: number(sent).cast("double"), _finite, *bounds]
    if field.kind == "decimal":
        exactly = partial(exact, precision=field.precision, scale=field.scale)
        return [number, exactly, *bounds]
    if field.kind == "boolean":
        return [partial(_boolean, field)]
    return [partial(_text, field), *_text_rules(field), *OF_TEXT.get(field.kind, ())]


def _elements(each: list[Step], sent: Column) -> Column:
    return F.transform(elements(sent), lambda element: reduce(once, each, element))


def _if_all(values: Column) -> Column:
    return F.when(~F.exists(values, lambda value: value.isNull()), values)


def _is(text: Column, pattern: str) -> Column:
    return text.rlike(rf"\A(?:{pattern})\z")


def _text(field: FieldContract, sent: Column) -> Column:
    """Return a string, or a number's text if the field may be one."""
    is_text = sent.startswith("s")
    if {"number", "integer"} & {*field.types}:
        is_text = is_text | sent.startswith("n")
    return F.when(is_text, body(sent))


def _text_rules(field: FieldContract) -> list[Step]:
    if field.values:
        return [partial(ruled_choice, field)]
    own = FORMATS.get(field.kind)
    form = [lambda text: F.when(_is(text, own), text)] if own and own != field.pattern else []
    trimming = [trimmed_field] if field.trim else []
    return [*trimming, partial(ruled_text, field), *form]


def _instant(text: Column) -> Column:
    return timestamps.instant(text, ".*")


def _moment(at: Column) -> Column:
    return F.when(timestamps.is_in_range(at), timestamps.cut_to_milliseconds(at))


def _day(text: Column) -> Column:
    return text.cast("date")


OF_TEXT: Final[dict[str, tuple[Step, ...]]] = {
    "timestamp": (_instant, _moment),
    "date": (_day,),
    "uuid": (F.lower,),
}


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
    counted = _counted(number, kind, scale, whole)
    return F.when(is_short, number.cast(kind)).when(number.isNotNull(), counted)


def _counted(number: Column, kind: str, scale: int, whole: int) -> Column:
    before = F.regexp_extract(number, r"\A-?([0-9]+)", 1)
    after = F.regexp_extract(number, r"\A-?[0-9]+\.([0-9]+)", 1)
    # As a double, which no length of an exponent overflows.
    exponent = F.coalesce(
        F.nullif(F.regexp_extract(number, r"[eE](.+)\z", 1), F.lit("")).cast("double"), F.lit(0.0)
    )
    digits = F.regexp_replace(F.concat(before, after), r"\A0+", "")

    def of_digits(digits: Column) -> Column:
        kept = F.regexp_replace(digits, r"0+\z", "")
        decimals = F.length(after) - exponent - (F.length(digits) - F.length(kept))
        fits = once(decimals, lambda n: (n <= scale) & (F.length(kept) - n <= whole))
        zero = F.lit(Decimal(0)).cast(kind)
        return F.when(kept == "", zero).when(fits, number.cast(kind))

    return once(digits, of_digits)


def _integer(number: Column) -> Column:
    is_short = _is(number, rf"-?[0-9]{{1,{INTEGER_DIGITS - 1}}}")
    long = once(exact(number, INTEGER_DIGITS, 0), _in_64_bits)
    return F.when(is_short, number.cast("bigint")).when(number.isNotNull(), long)


def _in_64_bits(value: Column) -> Column:
    fits = value.between(F.lit(LEAST_INTEGER), F.lit(GREATEST_INTEGER))
    return F.when(fits, value.cast("bigint"))


def _finite(number: Column) -> Column:
    return F.when(F.abs(number) <= sys.float_info.max, number)


def _epoch(unit: int, count: Column) -> Column:
    is_in_range = count.between(F.lit(0), F.lit(EPOCH_END * unit - 1))
    at = F.timestamp_micros(F.when(is_in_range, count) * F.lit(MICROSECONDS // unit))
    return timestamps.cut_to_milliseconds(at)


def _boolean(field: FieldContract, sent: Column) -> Column:
    if field.coerce:
        text = F.lower(trimmed(body(sent)))
        sent = F.when(sent.startswith("s"), text).otherwise(sent)
    return F.when(sent.isin("true", "false"), sent == "true")


def _bounds(field: FieldContract) -> list[Step]:
    """Return the step that keeps a value between the field's bounds, if it has any."""

    def within(value: Column) -> Column:
        rules = []
        if field.minimum is not None:
            rules.append(value >= _bound(field, field.minimum, ROUND_CEILING))
        if field.maximum is not None:
            rules.append(value <= _bound(field, field.maximum, ROUND_FLOOR))
        return F.when(reduce(and_, rules), value)

    return [within] if (field.minimum, field.maximum) != (None, None) else []


def _bound(field: FieldContract, bound: Decimal, rounding: str) -> Column:
    if field.kind == "number":
        return F.lit(float(bound))
    if field.kind == "decimal":
        return F.lit(format(bound, "f")).cast(field.stored_as.spark)
    return F.lit(int(bound.to_integral_value(rounding)))
