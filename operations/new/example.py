"""An example record for the folder's test: the first of the sample, without its personal data."""

from __future__ import annotations

import pprint
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from operations.new.contract import NamedField
from operations.new.roles import Field

# Found in no sample: domains and numbers that are reserved for examples.
STAND_INS: Final = {"email": "someone@example.com", "phone": "+1 202 555 0100"}
ADDRESS: Final = "1 Example Street"


def example(fields: Sequence[NamedField]) -> dict[str, Any]:
    """A valid record as a message has it: personal values are replaced, unread fields left out."""
    place = _fullest([each.field for each in fields])
    record: dict[str, Any] = {}
    for each in fields:
        value = each.field.observed.values[place]
        if value is None or each.column is None:
            continue
        inner = record
        for name in each.field.observed.path[:-1]:
            inner = inner.setdefault(name, {})
        personal = each.field.personal
        inner[each.field.observed.path[-1]] = _stand_in(each, value) if personal else _plain(value)
    return record


def _fullest(fields: Sequence[Field]) -> int:
    """The first record that has the most fields."""
    count = len(fields[0].observed.values)
    filled = [sum(f.observed.values[n] is not None for f in fields) for n in range(count)]
    return filled.index(max(filled))


def _stand_in(each: NamedField, value: Any) -> Any:
    if not isinstance(value, str):
        return 1
    normalise = each.field.personal.normalise if each.field.personal else "text"
    if each.guess.kind == "email":
        return STAND_INS["email"]
    if each.guess.kind == "uuid":
        return "00000000-0000-4000-8000-000000000001"
    return STAND_INS.get(normalise, ADDRESS if normalise == "address" else "example")


def _plain(value: Any) -> Any:
    """The value with numbers as Python writes them."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, Decimal):
        return value
    return (
        int(value) if value == value.to_integral_value() and value.adjusted() < 18 else float(value)
    )


def test_source(name: str, fields: Sequence[NamedField]) -> str:
    """Python source of `test_pipeline.py`."""
    record = pprint.pformat(example(fields), width=96, sort_dicts=False)
    ids = [each for each in fields if each.field.is_id]
    shown = ids[0]
    path, reason = shown.field.observed.path, "_".join(shown.path)
    at = "".join(f"[{part!r}]" for part in path)
    return f'''"""Records of {name}: what is accepted, and what is not."""

from __future__ import annotations

import copy
from pathlib import Path

from millrace.testing import judged

FOLDER = Path(__file__).parent
RECORD = {record}


def test_a_record_like_those_of_the_sample_is_valid() -> None:
    [row] = judged(FOLDER, [RECORD])

    assert (row["outcome"], row["reasons"]) == ("valid", [])
    assert row[{shown.column!r}] is not None


def test_a_record_without_its_id_is_rejected() -> None:
    record = copy.deepcopy(RECORD)
    del record{at}

    [row] = judged(FOLDER, [record])

    assert (row["outcome"], row["reasons"]) == ("rejected", [{f"missing_{reason}"!r}])
'''
