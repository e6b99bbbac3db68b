"""A record's id: read from what the user typed, from a message, or from a row.

Values are read more leniently than a job reads them: they only help to find what is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from schemas.contract import WHITE_SPACE
from schemas.fields import FieldContract, path_of
from schemas.types import EPOCH_UNITS
from spark_jobs.pipeline import Pipeline
from spark_jobs.state.instants import EPOCH
from spark_jobs.targets import PLACE

# Parts of an id of several columns: `\|` and `\\` stand for themselves.
PART: Final = re.compile(r"(?:\A|\|)((?:[^\\|]|\\.)*)", re.DOTALL)
ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
SPACE: Final = re.compile(f"^[{WHITE_SPACE}]+|[{WHITE_SPACE}]+$")
# Digits of a number of 64 bits.
LONGEST_INTEGER: Final = 19
# Of numbers that stand for instants.
MICROSECONDS: Final = EPOCH_UNITS["microseconds"]


def id_of_text(pipeline: Pipeline, text: str) -> dict[str, Any] | None:
    """The values of the id's columns; None if the pipeline can have no such id."""
    names = pipeline.id_columns
    split = (ESCAPED.sub(r"\1", part) for part in PART.findall(text))
    parts = [text] if len(names) == 1 else [*split]
    if len(parts) != len(names):
        return None
    fields = {field.column: field for field in pipeline.contract.fields}
    found: dict[str, Any] = {}
    for name, part in zip(names, parts, strict=True):
        value = value_of(fields[name], part, is_typed=True) if name in fields else part
        if value is None:
            return None
        found[name] = value
    return found


def text_of_id(pipeline: Pipeline, columns: Mapping[str, Any]) -> str | None:
    """The id as the platform writes it; None if a column is not known."""
    return joined_id([columns.get(name) for name in pipeline.id_columns])


def joined_id(values: Sequence[Any]) -> str | None:
    """The values of an id's columns as one text; None if one is missing."""
    if None in values:
        return None
    texts = [_text(value) for value in values]
    if len(texts) == 1:
        return texts[0]
    return "|".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in texts)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return str(value).lower() if isinstance(value, bool) else str(value)


def record_of(
    value: bytes | None, fraction: Callable[[str], Any] = Decimal
) -> dict[str, Any] | None:
    """The record in a message, with fractions as given; None if it is no JSON object."""
    try:
        record = json.loads(value or b"", parse_float=fraction)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def columns_of(pipeline: Pipeline, record: Mapping[str, Any]) -> dict[str, Any]:
    """What the columns of a record are; hashed fields and what cannot be read are left out.

    Only the id of a record that code of its own reads.
    """
    found: dict[str, Any] = {}
    for field in pipeline.contract.fields:
        is_read = pipeline.classify_by is None or field.column in pipeline.id_columns
        if field.column and is_read and field.sensitivity != "hashed" and not field.items:
            sent = sent_value(record, field)
            read = value_of(field, field.default if sent is None else sent)
            if read is not None:
                found.setdefault(field.column, read)
    return found


def sent_value(record: Mapping[str, Any], field: FieldContract) -> Any:
    """What a record has under a field's name or another of its names; else in another case."""
    names = [path_of(name) for name in (field.name, *field.other_names)]
    exact = (_member(record, path) for path in names)
    sent = next((value for value in exact if value is not None), None)
    if sent is not None or "." in field.name:
        return sent
    return next((v for n, v in record.items() if n.lower() == field.name.lower()), None)


def _member(record: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record


def value_of(field: FieldContract, sent: Any, *, is_typed: bool = False) -> Any:
    """A value as rows have it, from a message or, if `is_typed`, as a person typed it.

    None if it cannot be one of this field.
    """
    if sent is None or isinstance(sent, dict | list):
        return None
    try:
        text = str(sent)
        text.encode()  # half a surrogate pair is in no row
        return _value(field, text, is_typed=is_typed, is_bool=isinstance(sent, bool))
    except (ValueError, ArithmeticError):  # a number may be too large for any type
        return None


def _value(field: FieldContract, text: str, *, is_typed: bool, is_bool: bool) -> Any:
    # A person may also type the time that such a number stands for.
    if field.epoch and not (is_typed and "T" in text.upper()):
        microseconds = _whole(text) * (MICROSECONDS // EPOCH_UNITS[field.epoch])
        return _cut(EPOCH + timedelta(microseconds=microseconds))
    match "timestamp" if field.epoch else field.kind:
        case "timestamp":
            return _cut(datetime.fromisoformat(text.strip()))
        case "date":
            return date.fromisoformat(text).isoformat()
        case "integer":
            return _whole(text)
        case "number":
            return float(text)
        case "decimal":
            return Decimal(text) + 0  # refuses a signalling NaN
        case "boolean":
            return {"true": True, "false": False}.get(text.lower())
        case "uuid":
            return str(UUID(text))
    if is_bool:
        return None
    trimmed = SPACE.sub("", text) if field.trim or field.values else text
    if field.values:
        return field.spellings.get(trimmed.lower())
    return trimmed or None


def _whole(text: str) -> int:
    number = Decimal(text)
    # Of an exponent such as 1e999999999 no integer can be made in time.
    if number.adjusted() > LONGEST_INTEGER or number % 1:
        raise ValueError("no whole number of 64 bits")
    return int(number)


def _cut(at: datetime) -> datetime:
    """The instant without a zone, in UTC, cut to milliseconds."""
    moment = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return moment.replace(tzinfo=None, microsecond=moment.microsecond // 1000 * 1000)


def comparable(value: Any) -> Any:
    """A value of a row in the form that `value_of` gives."""
    if isinstance(value, datetime):
        return _cut(value)
    if isinstance(value, bool | int | float | str | Decimal) or value is None:
        return value
    # UUIDs and dates of the drivers.
    return str(value)


def is_record(
    pipeline: Pipeline, row: Mapping[str, Any], known: Mapping[str, Any], *, by_place: bool
) -> bool:
    """Whether a row is of the known message, if `by_place`, or else has the known id.

    Columns of the id that the row lacks do not count.
    """
    names = PLACE if by_place else [n for n in pipeline.id_columns if n in row and n in known]
    return all(comparable(row[name]) == known[name] for name in names)
