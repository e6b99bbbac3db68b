"""A default is a value that the field takes, else every record without it would be invalid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from errors import ContractError
from schemas.contract import read_contract

DECIMAL = {"format": "decimal", "x-precision": 5, "x-scale": 2}
NUMBERS = DECIMAL | {"type": "number"}
AT = {"type": "string", "format": "timestamp"}
DAY = {"type": "string", "format": "date"}
SECONDS = {"type": "integer", "x-epoch": "seconds"}


def default_of(folder: Path, keywords: dict[str, Any]) -> Any:
    """The default of a field, or of the elements of an array if it is a list."""
    if isinstance(keywords["default"], list):
        items = {name: value for name, value in keywords.items() if name != "default"}
        keywords = {"type": "array", "items": items, "default": keywords["default"]}
    public = {"x-sensitivity": "public"}
    key = {"type": "string", "x-id": True, "x-column": "id"} | public
    document = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": key, "field": keywords | public},
    }
    path = folder / "contract.schema.json"
    path.write_text(json.dumps(document))
    return read_contract(path, "small").field("field").default


@pytest.mark.parametrize(
    ("keywords", "default", "fault"),
    [
        (NUMBERS, "5.00", "is a text, and the field takes only numbers; leave its quotes out"),
        (NUMBERS | {"type": ["number", "null"]}, "5.00", "is a text, and the field"),
        (NUMBERS, [1.5, "5.00"], "is a text, and the field"),
        (NUMBERS, "five", "is not a decimal"),
        (DAY, "2026-02-30", "is no date that exists in the years 1900 to 9999"),
        (DAY, "2026-13-01", "is no date that exists"),
        (DAY, ["2026-02-28", "2026-02-30"], "is no date that exists"),
        (AT, "2026-02-30T00:00:00Z", "is no timestamp that exists in the years 1900 to 9999"),
        (AT, "2026-11-22T25:00:00Z", "is no timestamp that exists"),
        (AT, "1900-01-01T00:00:00+01:00", "is no timestamp that exists"),
        (AT, "9999-12-31T23:59:59-01:00", "is no timestamp that exists"),
        (AT | {"pattern": "^.*Z$"}, "2026-11-22T00:00:00+00:00", "does not match `pattern`"),
        (DAY | {"maxLength": 9}, "2026-11-22", "has not the length"),
        ({"type": "string", "pattern": "^a|b$"}, "ax", "does not match `pattern`"),
        ({"type": "string", "pattern": "^a$"}, "a\n", "does not match `pattern`"),
        (SECONDS, -1, "is not an instant from 1970 to 9999"),
        (SECONDS, 253_402_300_800, "is not an instant from 1970 to 9999"),
        (SECONDS | {"minimum": 10}, 9, "is less than `minimum`"),
        ({"type": "number"}, 10**400, "is not a number in the range of doubles"),
    ],
)
def test_a_default_that_every_job_would_reject_is_refused(
    tmp_path: Path, keywords: dict[str, Any], default: Any, fault: str
) -> None:
    with pytest.raises(ContractError) as caught:
        default_of(tmp_path, keywords | {"default": default})

    assert f"`field`: `default` {fault}" in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "default"),
    [
        (NUMBERS, 5),
        (NUMBERS | {"x-coerce": True}, "5.00"),
        (DECIMAL | {"type": ["string", "number"]}, "5.00"),
        (DECIMAL | {"type": "string"}, ["5.00", "1e2"]),
        (DAY, "2028-02-29"),
        (AT, "2026-11-22t10:11:12.123456789z"),
        (AT, "2026-11-22T10:11:12.5+1800"),
        (AT, "1900-01-01T00:00:00-01:00"),
        (AT, "9999-12-31T23:59:59+01:00"),
        (AT | {"pattern": "^.*Z$"}, "2026-11-22T00:00:00Z"),
        ({"type": "string", "pattern": "^a|b$"}, "b"),
        (SECONDS, 0),
        (SECONDS, 253_402_300_799),
        (SECONDS | {"x-epoch": "milliseconds"}, 253_402_300_799_999),
        ({"type": "number"}, 10**308),
    ],
)
def test_a_default_that_a_message_could_send_is_taken(
    tmp_path: Path, keywords: dict[str, Any], default: Any
) -> None:
    assert default_of(tmp_path, keywords | {"default": default}) == default
