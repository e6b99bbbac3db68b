"""The keywords that a field of a contract may have, each with its JSON type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from schemas.types import MOST_DIGITS, Kind

Sensitivity = Literal["public", "personal", "hashed", "never"]
Format = Literal["timestamp", "date", "uuid", "email", "decimal"]
Epoch = Literal["seconds", "milliseconds", "microseconds"]
Normalisation = Literal["email", "phone", "address", "text"]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Number = int | float | Decimal

SCALARS: Final = ("string", "integer", "number", "boolean", "null")
# Unicode property White_Space (PropList.txt), used by every trim and blank test.
WHITE_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Keywords of an array's elements; everything else belongs to the array's field.
ITEM_KEYWORDS: Final = frozenset(
    "$comment type format enum pattern minLength maxLength minimum maximum"
    " x-trim x-synonyms x-coerce x-epoch x-precision x-scale".split()
)
CHOICES: Final[Mapping[str, Any]] = {
    "x-sensitivity": Sensitivity,
    "format": Format,
    "x-epoch": Epoch,
    "x-normalise": Normalisation,
}


def in_file(name: str) -> str:
    """Return a keyword as files have it: `minLength` for `min_length`, `x-id` for `x_id`."""
    return name.replace("_", "-") if name.startswith("x_") else to_camel(name)


class Keywords(BaseModel):
    """One field as the file has it; names in Python's form (`min_length`, `x_column`)."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=in_file, allow_inf_nan=False
    )

    type: str | list[str]
    x_sensitivity: Sensitivity
    comment: str | None = Field(None, alias="$comment")
    title: str | None = None
    description: str | None = None
    examples: list[Any] | None = None
    items: dict[str, Any] | None = None
    format: Format | None = None
    enum: Annotated[list[Any], Field(min_length=1)] | None = None
    pattern: str | None = None
    min_length: Count | None = None
    max_length: Count | None = None
    minimum: Number | None = None
    maximum: Number | None = None
    default: Any = None
    x_column: str | None = None
    x_trim: bool = False
    x_synonyms: dict[str, str] = {}
    x_other_names: list[str] = []
    x_coerce: bool = False
    x_epoch: Epoch | None = None
    x_precision: Annotated[int, Field(ge=1, le=MOST_DIGITS)] | None = None
    x_scale: Annotated[int, Field(ge=0, le=MOST_DIGITS)] | None = None
    x_id: bool = False
    x_event_time: bool = False
    x_normalise: Normalisation | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """The JSON types, as a tuple also where the file names only one."""
        return (self.type,) if isinstance(self.type, str) else tuple(self.type)

    @property
    def bounds(self) -> tuple[Decimal | None, Decimal | None]:
        """The minimum and maximum, exactly as the file has them."""
        low, high = (
            None if bound is None else Decimal(str(bound)) for bound in (self.minimum, self.maximum)
        )
        return low, high

    @property
    def kind(self) -> Kind | None:
        """What a value is; for an array, what its elements are; None for a mix of types."""
        types = {*self.types} - {"null"}
        if types == {"array"}:
            return read_items(self.items)[0].kind
        if self.format == "decimal":
            return "decimal"
        if types == {"integer"} and self.x_epoch:
            return "timestamp"
        if types == {"string"}:
            return self.format or "string"
        if types in ({"string", "number"}, {"string", "integer"}, {"string", "integer", "number"}):
            return "string"
        if types in ({"number"}, {"number", "integer"}):
            return "number"
        return cast("Kind", types.pop()) if types in ({"integer"}, {"boolean"}) else None


def read_keywords(node: Mapping[str, Any]) -> tuple[Keywords, list[str]]:
    """Return the keywords of a field, and what is wrong with them one by one.

    A keyword that is wrong is left out, so that the rest can be checked as well.
    """
    faults = {f"`{k}` is null; leave it out" for k, v in node.items() if v is None}
    given = {name: value for name, value in node.items() if value is not None}
    try:
        return Keywords.model_validate(given), sorted(faults)
    except ValidationError as error:
        found = error.errors()
    wrong = {str(each["loc"][0]) for each in found}
    faults |= {_fault(str(each["loc"][0]), each["type"], each["msg"]) for each in found}
    left = {name: value for name, value in given.items() if name not in wrong}
    left = {"type": "string", "x-sensitivity": "public"} | left
    return Keywords.model_validate(left), sorted(faults)


def read_items(items: Mapping[str, Any] | None) -> tuple[Keywords, list[str]]:
    """Return the keywords of an array's elements, like `read_keywords`."""
    given = {name: value for name, value in (items or {}).items() if name in ITEM_KEYWORDS}
    keywords, faults = read_keywords({"x-sensitivity": "public", "type": "", **given})
    return keywords, [*faults, *(f"unknown keyword `{k}`" for k in {*(items or {})} - {*given})]


def _fault(keyword: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        known = [in_file(name) for name in Keywords.model_fields]
        near = difflib.get_close_matches(keyword, known, 1)
        return f"unknown keyword `{keyword}`" + (f"; did you mean `{near[0]}`?" if near else "")
    if keyword in CHOICES:
        return f"`{keyword}` is not one of {', '.join(get_args(CHOICES[keyword]))}"
    if keyword == "type":
        return f"`type` is not made of {', '.join(SCALARS)}, or `array` or `object`"
    if keyword in ("minimum", "maximum"):
        return f"`{keyword}`: is not a number"
    return f"`{keyword}`: {message[:1].lower()}{message[1:]}"
