"""What a contract says of its fields, once read; `schemas.contract` reads and explains it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from errors import ContractError
from schemas.keywords import Epoch, Normalisation, Sensitivity
from schemas.types import TYPES, Kind, StoredAs


def path_of(name: str) -> tuple[str, ...]:
    r"""The parts of a dotted path; `\.` is a dot in a name: `http\.method` has one part."""
    return tuple(part.replace(r"\.", ".") for part in re.split(r"(?<!\\)\.", name))


@dataclass(frozen=True)
class FieldContract:
    """One field of a record.

    Attributes:
        name: Dotted path, such as `location.street.name`.
        required: True when the field, and every object around it, must be present and not blank.
        sensitivity: Who may see it; see the module's docstring.
        types: JSON types of the canonical form.
        column: Column that it feeds, or None when no job reads it.
        trim: Whether white space at both ends is ignored.
        values: Canonical values of an enumeration; empty for free text.
        synonyms: Other spellings of `values`, in lower case.
        other_names: Other names that the field may have in a message.
        pattern: Regular expression without anchors, for a full match; valid in Python and Java;
            the format's own if the contract has none.
        min_length: Least number of code points, after trimming.
        max_length: Greatest number of code points, after trimming.
        format: `timestamp`, `date`, `uuid`, `email`, `decimal` or None.
        kind: What a value is, or an element of an array.
        items: The contract of an array's elements; None unless it is an array.
        minimum: Least number, inclusive.
        maximum: Greatest number, inclusive.
        default: Value of the field if it is absent, null or blank; None for none.
        coerce: Whether a text may stand for the number or boolean.
        epoch: Unit of an integer that is an instant; None for text.
        precision: Digits of a decimal in all; 0 for other kinds.
        scale: Digits of a decimal after its point; 0 for other kinds.
        is_id: Whether it is the record's id, or a part of it.
        is_event_time: Whether it says when the record happened.
        normalise: How a text is normalised before its digest.
        required_within: Dotted path of the optional object whose presence makes the field required;
            None when no object does.
    """

    name: str
    required: bool
    sensitivity: Sensitivity
    types: tuple[str, ...]
    column: str | None
    trim: bool
    values: tuple[Any, ...] = dataclasses.field(hash=False)
    synonyms: Mapping[str, str] = dataclasses.field(hash=False)
    other_names: tuple[str, ...]
    pattern: str | None
    min_length: int | None
    max_length: int | None
    format: str | None
    kind: Kind = "string"
    items: FieldContract | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    default: Any = dataclasses.field(default=None, hash=False)
    coerce: bool = False
    epoch: Epoch | None = None
    precision: int = 0
    scale: int = 0
    is_id: bool = False
    is_event_time: bool = False
    normalise: Normalisation | None = None
    required_within: str | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of the dotted path."""
        return path_of(self.name)

    @property
    def reason_suffix(self) -> str:
        """The name in reason codes, such as `login_uuid` in `missing_login_uuid`."""
        return self.name.replace(".", "_")

    @property
    def spellings(self) -> Mapping[str, str]:
        """Every accepted spelling of an enumeration, in lower case, with its canonical value."""
        return {**{value.lower(): value for value in self.values}, **self.synonyms}

    @property
    def stored_as(self) -> StoredAs:
        """The types of the column in Spark and in each store; a digest is a text."""
        if self.sensitivity == "hashed":
            return TYPES["string"]
        one = TYPES[self.kind].with_digits(
            *(
                (self.items.precision, self.items.scale)
                if self.items
                else (self.precision, self.scale)
            )
        )
        return one.of_array() if self.items else one


@dataclass(frozen=True)
class ObjectContract:
    """An object around fields; `required` if it and every object around it must be present."""

    name: str
    required: bool


@dataclass(frozen=True)
class Contract:
    """All fields of one kind of record, in the order of the schema file."""

    name: str
    fields: tuple[FieldContract, ...]
    objects: tuple[ObjectContract, ...] = ()

    def field(self, name: str) -> FieldContract:
        """Return the field with that dotted name.

        Raises:
            ContractError: The contract has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(f"`{field.name}`" for field in self.fields)
        raise ContractError(f"The {self.name} contract has no field `{name}`; it has {known}.")

    @property
    def id_fields(self) -> tuple[FieldContract, ...]:
        """The fields of the record's id, in the order of the file."""
        return tuple(field for field in self.fields if field.is_id)

    @property
    def event_time(self) -> FieldContract | None:
        """The field that says when a record happened, or None."""
        return next((field for field in self.fields if field.is_event_time), None)
