r"""The contracts of tickets, profiles and customers, read from `schemas/*.schema.json`.

The files are JSON Schema 2020-12 and describe a record in canonical form. Additional keywords:

    x-sensitivity   on every field, one of
                    `public`    anyone may see it
                    `personal`  used or stored as it is, masked when raw messages are shown
                    `hashed`    leaves the job only as a digest, masked when raw messages are shown
                    `never`     removed by the producer, before Kafka
    x-column        column that the field feeds; no job reads a field without it
    x-trim          Unicode white space at both ends is removed before the field is checked
    x-synonyms      other spellings of the values of `enum`: spelling -> value, in lower case
    x-other-names   other names of the field; the field's own name counts if both are present

No Spark here: producers import this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from errors import ContractError

ContractName = Literal["ticket", "profile", "customer"]
Sensitivity = Literal["public", "personal", "hashed", "never"]

# Unicode property White_Space (PropList.txt), used by every trim and blank test.
WHITE_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Not a path, as the code may be in an archive.
SCHEMA_FOLDER: Final = resources.files("schemas")
LEAF_TYPES: Final = ("string", "number", "null")
FORMATS: Final = ("timestamp", "uuid")
LEAF_KEYWORDS: Final = frozenset(
    "type pattern format enum minLength maxLength"
    " x-sensitivity x-column x-trim x-synonyms x-other-names".split()
)
OBJECT_KEYWORDS: Final = frozenset(
    ("$schema", "$id", "title", "description", "type", "required", "properties")
)


@dataclass(frozen=True)
class FieldContract:
    """One field of a record.

    Attributes:
        name: Dotted path, such as `location.street.name`.
        required: True when the field must be a JSON string that is not blank; any other field may
            be absent, a string or a number.
        sensitivity: Who may see it; see the module's docstring.
        types: JSON types of the canonical form.
        column: Column that it feeds, or None when no job reads it.
        trim: Whether white space at both ends is ignored.
        values: Canonical values of an enumeration; empty for free text.
        synonyms: Other spellings of `values`, in lower case.
        other_names: Other names that the field may have in a message.
        pattern: Regular expression without anchors, for a full match; valid in Python and Java.
        min_length: Least number of code points, after trimming.
        max_length: Greatest number of code points, after trimming.
        format: `timestamp`, `uuid` or None.
    """

    name: str
    required: bool
    sensitivity: Sensitivity
    types: tuple[str, ...]
    column: str | None
    trim: bool
    values: tuple[str, ...]
    synonyms: Mapping[str, str]
    other_names: tuple[str, ...]
    pattern: str | None
    min_length: int | None
    max_length: int | None
    format: str | None

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of the dotted path."""
        return tuple(self.name.split("."))

    @property
    def reason_suffix(self) -> str:
        """The name in reason codes, such as `login_uuid` in `missing_login_uuid`."""
        return self.name.replace(".", "_")

    @property
    def spellings(self) -> Mapping[str, str]:
        """Every accepted spelling of an enumeration, in lower case, with its canonical value."""
        return {**{value: value for value in self.values}, **self.synonyms}


@dataclass(frozen=True)
class Contract:
    """All fields of one kind of record, in the order of the schema file."""

    name: str
    fields: tuple[FieldContract, ...]

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


@cache
def load_contract(name: ContractName) -> Contract:
    """Read a contract once and keep it.

    Raises:
        ContractError: The file is missing, is not JSON or breaks a rule of this module.
    """
    path = SCHEMA_FOLDER / f"{name}.schema.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ContractError(
            f"Cannot read the {name} contract `{path.name}`: {error}."
            " Restore the file from the repository."
        ) from error
    return contract_from(name, document)


def contract_from(name: str, document: Any) -> Contract:
    """Build a contract from the content of a schema file; one error lists all its faults.

    Raises:
        ContractError: The document breaks a rule of this module.
    """
    faults: list[str] = []
    leaves = list(_leaves(document, (), True, faults))
    fields = tuple(
        _field(".".join(path), required, leaf, faults)
        for path, required, leaf in leaves
        if isinstance(leaf, dict)
    )
    names = [n for field in fields for n in (field.name, *field.other_names)]
    faults += [f"`{n}`: two fields have this name" for n in set(names) if names.count(n) > 1]
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in sorted(faults))
        raise ContractError(
            f"The {name} contract breaks {len(faults)} rule(s):\n{lines}\n"
            f"Correct `schemas/{name}.schema.json`; schemas/contract.py explains the keywords."
        )
    return Contract(name, fields)


def _leaves(
    node: Any, path: tuple[str, ...], required: bool, faults: list[str]
) -> Iterator[tuple[tuple[str, ...], bool, Any]]:
    where = ".".join(path) or "(root)"
    if not isinstance(node, dict) or (not path and node.get("type") != "object"):
        faults.append(f"`{where}`: expected a JSON object that describes a field")
        return
    if node.get("type") != "object":
        yield path, required, node
        return
    children, must = node.get("properties"), node.get("required", [])
    if not isinstance(children, dict) or not children:
        faults.append(f"`{where}`: an object without `properties`")
        return
    faults += [f"`{where}`: unknown keyword `{k}`" for k in node if k not in OBJECT_KEYWORDS]
    faults += [f"`{where}`: required `{n}` is not in `properties`" for n in set(must) - {*children}]
    for name, child in children.items():
        yield from _leaves(child, (*path, name), required and name in must, faults)


def _field(name: str, required: bool, leaf: dict[str, Any], faults: list[str]) -> FieldContract:
    declared = leaf.get("type", ())
    types = (declared,) if isinstance(declared, str) else tuple(declared)
    field = FieldContract(
        name=name,
        required=required,
        sensitivity=leaf.get("x-sensitivity", "missing"),
        types=types,
        column=leaf.get("x-column"),
        trim=leaf.get("x-trim", False),
        values=tuple(leaf.get("enum", ())),
        synonyms=MappingProxyType(dict(leaf.get("x-synonyms", {}))),
        other_names=tuple(leaf.get("x-other-names", ())),
        pattern=_without_anchors(leaf.get("pattern")),
        min_length=leaf.get("minLength"),
        max_length=leaf.get("maxLength"),
        format=leaf.get("format"),
    )
    faults += [f"`{name}`: unknown keyword `{k}`" for k in leaf if k not in LEAF_KEYWORDS]
    faults += [f"`{name}`: {fault}" for fault in _faults(field, leaf.get("pattern"))]
    return field


def _without_anchors(pattern: str | None) -> str | None:
    return pattern and pattern.removeprefix("^").removesuffix("$")


def _faults(field: FieldContract, pattern: str | None) -> Iterator[str]:
    if field.sensitivity not in get_args(Sensitivity):
        yield f"`x-sensitivity` is not one of {', '.join(get_args(Sensitivity))}"
    if not field.types or set(field.types) - {*LEAF_TYPES}:
        yield f"`type` is not made of {', '.join(LEAF_TYPES)}"
    if field.required and field.types != ("string",):
        yield "a required field must have the type `string`"
    if field.sensitivity == "never" and (field.column or field.required):
        yield "a field that is never sent can be neither required nor stored"
    if field.format is not None and field.format not in FORMATS:
        yield f"`format` is not one of {', '.join(FORMATS)}"
    if field.format is not None and pattern is None:
        yield "`format` needs a `pattern`, which is what values are tested against"
    if pattern is not None:
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield "`pattern` must begin with `^` and end with `$`"
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"`pattern` is not a regular expression: {error}"
    if (field.min_length or 0) > (field.max_length or 10**9):
        yield "`minLength` is greater than `maxLength`"
    for spelling, value in field.synonyms.items():
        if value not in field.values:
            yield f"`x-synonyms` maps `{spelling}` to `{value}`, which is not in `enum`"
    for spelling in (*field.values, *field.synonyms):
        if spelling != spelling.strip(WHITE_SPACE).lower():
            yield f"spelling `{spelling}` is not trimmed and in lower case"
