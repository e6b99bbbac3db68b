"""How the keywords of a field fit together; each fault says what to change."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from schemas.keywords import (
    ITEM_KEYWORDS,
    SCALARS,
    WHITE_SPACE,
    Keywords,
    Number,
    in_file,
    read_items,
)
from schemas.moments import exists
from schemas.patterns import java_faults
from schemas.types import (
    EPOCH_END,
    EPOCH_UNITS,
    FORMATS,
    GREATEST_INTEGER,
    LEAST_INTEGER,
    LONGEST_ID,
    MOST_DIGITS,
    Kind,
)

TEXT_KINDS: Final = ("string", "uuid", "email")


def rule_faults(field: Keywords, required: bool) -> Iterator[str]:
    """Yield what does not fit together in a field whose single keywords are correct.

    Args:
        field: The keywords.
        required: Whether the object around it lists the field in `required`.
    """
    is_array, kind = "array" in field.types, field.kind
    if is_array:
        yield from _array_faults(field)
    elif kind is None or {*field.types} - {*SCALARS}:
        yield f"`type` is not made of {', '.join(SCALARS)}, or `array` or `object`"
        return
    if kind is None:
        return
    yield from _role_faults(field, kind, required, is_array)
    if not is_array:
        yield from value_faults(field, kind)
    if field.default is not None:
        if required:
            yield "a required field has no `default`: a message without it is invalid"
        fault = default_fault(field, field.default)
        if fault:
            yield f"`default` {fault}"


def _array_faults(field: Keywords) -> Iterator[str]:
    if {*field.types} - {"array", "null"}:
        yield "an `array` can have no other `type` but `null`"
    items, faults = read_items(field.items)
    yield from (f"`items`: {fault}" for fault in faults)
    if items.kind is None or {*items.types} - {*SCALARS[:-1]}:
        yield "`items` needs a `type` of string, integer, number or boolean"
    else:
        yield from (f"`items`: {fault}" for fault in value_faults(items, items.kind))
    for keyword in sorted(
        (ITEM_KEYWORDS - {"type"}) & {in_file(n) for n in field.model_fields_set}
    ):
        yield f"`{keyword}` of an array belongs into `items`"


def _role_faults(field: Keywords, kind: Kind, required: bool, is_array: bool) -> Iterator[str]:
    """Yield faults of what a field is for: its id, its event time, its digest."""
    if required and "null" in field.types:
        expected = next((name for name in field.types if name != "null"), "string")
        yield f"a required field must have the type `{expected}` without `null`"
    if field.x_sensitivity == "never" and (field.x_column or required):
        yield "a field that is never sent can be neither required nor stored"
    if field.x_id and (is_array or kind in ("number", "boolean", "decimal")):
        yield "`x-id` needs a string, an integer, a timestamp, a date or a uuid"
    if field.x_id and field.x_sensitivity == "hashed":
        yield "`x-id` cannot be `hashed`: ids are stored in the ledger as they are"
    if field.x_id and (field.max_length or 0) > LONGEST_ID:
        yield f"`maxLength` of an `x-id` is at most {LONGEST_ID}, as stores limit keys"
    if field.x_event_time and (is_array or kind not in ("timestamp", "date")):
        yield "`x-event-time` needs the format `timestamp` or `date`, or `x-epoch`"
    if (field.x_id or field.x_event_time) and not field.x_column:
        yield "`x-id` and `x-event-time` need an `x-column`"
    if field.x_sensitivity == "hashed" and (is_array or kind not in TEXT_KINDS):
        yield '`hashed` needs a text; `"type": ["string", "number"]` reads a number as text'
    if field.x_normalise and field.x_sensitivity != "hashed":
        yield "`x-normalise` is only for `hashed` fields"
    if not is_array and field.items is not None:
        yield "`items` is only for arrays"


def value_faults(field: Keywords, kind: Kind) -> Iterator[str]:
    """Yield faults of the keywords that limit one value."""
    types = {*field.types} - {"null"}
    if field.format in FORMATS and field.format != "decimal" and types != {"string"}:
        yield f"the format `{field.format}` needs the type `string`"
    if field.format == "decimal" and (not types or types - {"string", "number"}):
        yield "the format `decimal` needs the type `string`, `number` or both"
    if field.x_epoch and (types != {"integer"} or field.format):
        yield "`x-epoch` needs the type `integer` and no `format`"
    digits = (field.x_precision, field.x_scale)
    if kind == "decimal" and None in digits:
        yield "the format `decimal` needs `x-precision` and `x-scale`, so that no store rounds"
    if kind != "decimal" and digits != (None, None):
        yield "`x-precision` and `x-scale` are only for the format `decimal`"
    if (field.x_scale or 0) > (field.x_precision or MOST_DIGITS):
        yield "`x-scale` is greater than `x-precision`"
    if field.x_coerce and not (types & {"integer", "number", "boolean"} and "string" not in types):
        yield "`x-coerce` is only for a number or boolean that may come as text"
    yield from _pattern_faults(field.pattern)
    if "string" not in types and field.x_trim:
        yield "`x-trim` is only for strings"
    lengths = (field.pattern, field.min_length, field.max_length)
    if not types & {"string"} and lengths != (None,) * 3:
        yield "`pattern`, `minLength` and `maxLength` are only for strings"
    if (field.min_length or 0) > (field.max_length or 10**9):
        yield "`minLength` is greater than `maxLength`"
    yield from _bound_faults(field, kind)
    yield from _enum_faults(field, kind)


def _pattern_faults(pattern: str | None) -> Iterator[str]:
    if pattern is None:
        return
    if not (pattern.startswith("^") and re.search(r"(?<!\\)(?:\\\\)*\$\Z", pattern)):
        yield "`pattern` must begin with `^` and end with `$` (`\\$` is a dollar sign)"
    try:
        with warnings.catch_warnings():
            # Python warns of what other dialects read in another way: `[[`, `&&`.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, FutureWarning, RecursionError, OverflowError) as error:
        yield f"`pattern` is not a regular expression: {error}"
    yield from (f"`pattern` has {fault}" for fault in java_faults(pattern))


def _bound_faults(field: Keywords, kind: Kind) -> Iterator[str]:
    low, high = field.bounds
    bounds = [bound for bound in (low, high) if bound is not None]
    if not bounds:
        return
    if kind not in ("integer", "number", "decimal") and not field.x_epoch:
        yield "`minimum` and `maximum` are only for numbers"
    if low is not None and high is not None and low > high:
        yield "`minimum` is greater than `maximum`"
    is_integer = kind == "integer" or field.x_epoch
    if is_integer and any(not LEAST_INTEGER <= bound <= GREATEST_INTEGER for bound in bounds):
        yield "`minimum` and `maximum` of an integer are at most 64 bits"
    if kind == "decimal" and any(_type_fault(field, kind, bound) for bound in bounds):
        yield "`minimum` and `maximum` have more digits than `x-precision` and `x-scale` allow"


def _enum_faults(field: Keywords, kind: Kind) -> Iterator[str]:
    values = field.enum or []
    if values and kind not in ("string", "integer"):
        yield "`enum` is only for strings and integers"
    elif any(_type_fault(field, kind, value) for value in values):
        yield f"`enum` has a value that is not of type {kind}"
        return
    texts = [value for value in values if isinstance(value, str)]
    for spelling, value in field.x_synonyms.items():
        if value not in texts:
            yield f"`x-synonyms` maps `{spelling}` to `{value}`, which is not in `enum`"
    for spelling in field.x_synonyms:
        if spelling != spelling.strip(WHITE_SPACE).lower():
            yield f"spelling `{spelling}` is not trimmed and in lower case"
    for text in texts:
        if text != text.strip(WHITE_SPACE) or not text:
            yield f"`enum`: `{text}` is empty or not trimmed"
    folded = [str(value).lower() for value in values] + [*field.x_synonyms]
    if len({*folded}) < len(folded):
        yield "`enum` and `x-synonyms` have values that differ only in case or are equal"


def default_fault(field: Keywords, value: Any) -> str | None:
    """Return why a value cannot be a field's default, or None."""
    kind = field.kind
    if "array" in field.types:
        items, _ = read_items(field.items)
        if not isinstance(value, list):
            return "is not an array"
        return next((fault for each in value if (fault := default_fault(items, each))), None)
    if kind is None:
        return None
    fault = _type_fault(field, kind, value)
    if fault:
        return fault
    if kind in ("integer", "number", "decimal") or field.x_epoch:
        number, (low, high) = Decimal(str(value)), field.bounds
        if low is not None and number < low:
            return "is less than `minimum`"
        if high is not None and number > high:
            return "is greater than `maximum`"
    if field.enum is not None and value not in field.enum:
        return "is not in `enum`"
    if isinstance(value, str) and kind != "decimal":
        if field.pattern and not _matches(field.pattern, value):
            return "does not match `pattern`"
        if not (field.min_length or 0) <= len(value) <= (field.max_length or len(value)):
            return "has not the length that `minLength` and `maxLength` allow"
    return None


def _matches(pattern: str, value: str) -> bool:
    try:
        return bool(re.fullmatch(pattern, value))
    except re.error:  # a fault of its own
        return True


def _type_fault(field: Keywords, kind: Kind, value: Any) -> str | None:
    """Return why a value of the file is not of a kind, or None."""
    is_number = isinstance(value, Number) and not isinstance(value, bool)
    if kind == "boolean":
        return None if isinstance(value, bool) else "is not a boolean"
    if kind == "integer" or field.x_epoch:
        return _integer_fault(field, value if is_number else None)
    if kind == "number":
        if not is_number:
            return "is not a number"
        fits = abs(value) <= sys.float_info.max
        return None if fits else "is not a number in the range of doubles"
    if kind == "decimal":
        if not is_number and not (isinstance(value, str) and re.fullmatch(FORMATS[kind], value)):
            return "is not a decimal"
        if not is_number and "string" not in field.types and not field.x_coerce:
            return "is a text, and the field takes only numbers; leave its quotes out"
        whole, fraction = decimal_digits(value)
        precision, scale = field.x_precision or MOST_DIGITS, field.x_scale or 0
        fits = fraction <= scale and whole <= precision - scale
        return None if fits else "has more digits than `x-precision` and `x-scale` allow"
    if not isinstance(value, str) or not value.strip(WHITE_SPACE):
        return "is not a text, or is blank"
    if kind in FORMATS and not re.fullmatch(FORMATS[kind], value):
        return f"does not have the format `{kind}`"
    if not exists(kind, value):
        return f"is no {kind} that exists in the years 1900 to 9999"
    return None


def _integer_fault(field: Keywords, value: Any) -> str | None:
    if not isinstance(value, int) or not LEAST_INTEGER <= value <= GREATEST_INTEGER:
        return "is not an integer of 64 bits"
    if field.x_epoch and not 0 <= value < EPOCH_END * EPOCH_UNITS[field.x_epoch]:
        return "is not an instant from 1970 to 9999"
    return None


def decimal_digits(value: Any) -> tuple[int, int]:
    """Return how many digits a number has before and after its point, without outer zeros."""
    _, digits, exponent = Decimal(str(value)).as_tuple()
    kept = "".join(map(str, digits)).rstrip("0")
    if not kept or not isinstance(exponent, int):
        return 0, 0
    exponent += len(digits) - len(kept)
    return max(0, len(kept) + exponent), max(0, -exponent)
