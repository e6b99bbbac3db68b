"""Keys of messages: the record's id as text, so that one id is always on one partition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.contract import WHITE_SPACE
from schemas.fields import FieldContract, path_of

# Of the texts of several fields, so that two keys are equal only if their fields are.
ESCAPED: Final = re.compile(r"[\\|]")


def message_key(fields: Sequence[FieldContract], record: Any) -> bytes:
    r"""Return the key: the texts of the fields, joined by `|`; empty if one of them has none.

    As in the job, `\` and `|` inside the texts of several fields are escaped, and spellings that
    stand for one value give one text: white space around it, the case of a uuid, `5` and `5.0`.

    Args:
        fields: The fields of the id.
        record: The record as read from JSON; anything but an object has no key.
    """
    texts = [_text(field, _sent(field, record)) for field in fields]
    if not all(texts):
        return b""
    if len(texts) > 1:
        texts = [ESCAPED.sub(r"\\\g<0>", text) for text in texts]
    return "|".join(texts).encode(errors="replace")


def _sent(field: FieldContract, record: Any) -> Any:
    """Return the field's value under its own name, else under another; None if it has none."""
    found = (_at(record, path_of(name)) for name in (field.name, *field.other_names))
    return next((value for value in found if value is not None), None)


def _at(record: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(record, Mapping):
            return None
        value = record.get(name)
        if value is None:
            # Columns of a CSV may differ in case.
            value = next((record[each] for each in record if each.lower() == name.lower()), None)
        record = value
    return record


def _text(field: FieldContract, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    if not text.strip(WHITE_SPACE):
        return ""
    if field.values:
        folded = text.strip(WHITE_SPACE).lower()
        return {**{str(each).lower(): str(each) for each in field.values}, **field.synonyms}.get(
            folded, text
        )
    text = text.strip(WHITE_SPACE) if field.trim else text
    return text.lower() if field.kind == "uuid" else text
