r"""Contracts of topics: of a built-in pipeline in `schemas/`, or of a user's in its own folder.

The files are JSON Schema 2020-12 and describe a record in canonical form. Types: `string`,
`integer` (64 bits), `number`, `boolean`, `array` of those, `object`; `null` may be listed as well,
and `["string", "number"]` reads a number as text. `schemas/types.py` has the formats and says what
each type becomes in each store. Keywords of JSON Schema: `enum` (case and outer white space are
ignored), `pattern` (for the whole text), `minLength`, `maxLength`, `minimum`, `maximum`,
`required`, `default` (for a field that is absent, null or blank). Additional keywords:

    x-sensitivity   on every field, one of
                    `public`    anyone may see it
                    `personal`  used or stored as it is, masked when raw messages are shown
                    `hashed`    leaves the job only as a digest, masked when raw messages are shown
                    `never`     removed by the producer, before Kafka
    x-normalise     of a `hashed` field: `email`, `phone`, `address` or `text` before its digest
    x-column        column that the field feeds; no job reads a field without it
    x-trim          Unicode white space at both ends is removed before the field is checked
    x-synonyms      other spellings of the values of `enum`: spelling -> value, in lower case
    x-other-names   other names of the field, as dotted paths (`\\.` for a dot in a name); its own
                    name counts if both are present
    x-coerce        a text may stand for the number or boolean
    x-epoch         the integer is an instant in `seconds`, `milliseconds` or `microseconds`
    x-precision     digits of a decimal in all
    x-scale         digits of a decimal after its point
    x-id            the field is the record's id, or part of it; a text has 255 characters at most,
                    and instants are compared by the millisecond
    x-event-time    when the record happened; at most a day after the message's Kafka timestamp

No Spark here: producers import this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from errors import ContractError
from schemas.fields import Contract, FieldContract, ObjectContract
from schemas.keywords import WHITE_SPACE, Keywords, read_items, read_keywords
from schemas.rules import rule_faults
from schemas.types import FORMATS, LONGEST_ID

__all__ = ["WHITE_SPACE", "Contract", "FieldContract", "load_contract", "read_contract"]

# Not a path, as the code may be in an archive.
SCHEMA_FOLDER: Final = resources.files("schemas")
OBJECT_KEYWORDS: Final = frozenset(
    ("$schema", "$id", "$comment", "title", "description", "type", "required", "properties")
)
# Reason codes are made of names, and a header lists them with commas.
FIELD_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
COLUMN_NAME: Final = r"[a-z][a-z0-9_]{0,47}"
# Columns that every classified message has.
RESERVED_COLUMNS: Final = frozenset(
    "record_id outcome reasons key value text record redrives hash_key_id kafka_topic"
    " kafka_partition kafka_offset kafka_timestamp kafka_timestamp_ms".split()
)


@cache
def load_contract(name: str) -> Contract:
    """Read a built-in contract once and keep it.

    Raises:
        ContractError: The file is missing, is not JSON or breaks a rule of this module.
    """
    path = SCHEMA_FOLDER / f"{name}.schema.json"
    return contract_from(name, _document(name, path, "Restore the file from the repository."))


def read_contract(path: Path, name: str) -> Contract:
    """Read the contract of a user's pipeline from any folder.

    It is held to more rules than a built-in one, whose own module knows its fields: it has an id,
    and each column has one field and a name that Spark, CQL and SQL take without quotes.

    Raises:
        ContractError: The file is missing, is not JSON or breaks rules; the text lists them all.
    """
    document = _document(
        name, path, "Correct the file, or write it with `.venv/bin/millrace new NAME --from FILE`."
    )
    return contract_from(name, document, place=str(path), stands_alone=True)


def _document(name: str, path: Traversable, remedy: str) -> Any:
    try:
        return json.loads(
            path.read_text(encoding="utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_repeated_keys,
        )
    except (OSError, ValueError, RecursionError) as error:
        raise ContractError(
            f"Cannot read the {name} contract `{path}`: {error}. {remedy}",
            [f"it cannot be read: {error}"],
        ) from error


def _refuse_constant(text: str) -> None:
    raise ValueError(f"`{text}` is not JSON")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({f"`{name}`" for name in names if names.count(name) > 1})
        raise ValueError(f"an object has {', '.join(twice)} twice")
    return members


def contract_from(
    name: str, document: Any, *, place: str | None = None, stands_alone: bool = False
) -> Contract:
    """Build a contract from the content of a schema file; one error lists all its faults.

    Args:
        name: Name of the contract, for messages.
        document: The content, read as JSON.
        place: The file, for messages; by default the built-in contract's.
        stands_alone: Whether the rules of `read_contract` hold too.

    Raises:
        ContractError: The document breaks a rule of this module.
    """
    faults: list[str] = []
    objects: list[ObjectContract] = []
    leaves = list(_leaves(document, (), (), faults, objects))
    fields = tuple(_field(".".join(path), anchor, leaf, faults) for path, anchor, leaf in leaves)
    contract = Contract(name, fields, tuple(objects))
    names = [n for field in fields for n in (field.name, *field.other_names)]
    faults += [f"`{n}`: two fields have this name" for n in set(names) if names.count(n) > 1]
    if sum(field.is_event_time for field in fields) > 1:
        faults.append("`x-event-time`: more than one field has it; leave it on one")
    if stands_alone:
        faults += _faults_of_all(fields, objects)
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in sorted({*faults}))
        raise ContractError(
            f"The {name} contract breaks {len({*faults})} rule(s):\n{lines}\n"
            f"Correct `{place or f'schemas/{name}.schema.json'}`;"
            " schemas/contract.py explains the keywords.",
            sorted({*faults}),
            contract,
        )
    return contract


def _leaves(
    node: Any,
    path: tuple[str, ...],
    anchor: tuple[str, ...] | None,
    faults: list[str],
    objects: list[ObjectContract],
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...] | None, dict[str, Any]]]:
    """Yield each field's path, and the path of the object with which it must be present.

    That is the root, `()`, for a field that is always required, and None for an optional one.
    """
    where = ".".join(path) or "(root)"
    if not isinstance(node, dict) or (not path and node.get("type") != "object"):
        faults.append(f"`{where}`: expected a JSON object that describes a field")
        return
    if node.get("type") not in ("object", ["object"], ["object", "null"], ["null", "object"]):
        yield path, anchor, node
        return
    children, must = node.get("properties"), node.get("required", [])
    faults += [f"`{where}`: unknown keyword `{k}`" for k in node if k not in OBJECT_KEYWORDS]
    if not isinstance(children, dict) or not children:
        faults.append(f"`{where}`: an object without `properties`")
        return
    if not isinstance(must, list) or not all(isinstance(each, str) for each in must):
        faults.append(f"`{where}`: `required` is not a list of names")
        must = []
    faults += [f"`{where}`: required `{n}` is not in `properties`" for n in {*must} - {*children}]
    if path:
        objects.append(ObjectContract(where, anchor == ()))
        anchor = path if anchor is None else anchor
    for name, child in children.items():
        if not re.fullmatch(FIELD_NAME, name):
            faults.append(
                f"`{'.'.join((*path, name))}`: a name has letters, digits and `_`, and no digit"
                " first; list another spelling in `x-other-names`"
            )
        yield from _leaves(child, (*path, name), anchor if name in must else None, faults, objects)


def _field(
    name: str, anchor: tuple[str, ...] | None, leaf: dict[str, Any], faults: list[str]
) -> FieldContract:
    keywords, found = read_keywords(leaf)
    required = anchor == ()
    faults += [f"`{name}`: {fault}" for fault in found]
    if "type" in leaf and not any(fault.startswith("`type`") for fault in found):
        faults += [f"`{name}`: {fault}" for fault in rule_faults(keywords, anchor is not None)]
    if keywords.x_id and not required:
        faults.append(f"`{name}`: `x-id` needs a required field; list it and its parents")
    items = None
    if "array" in keywords.types:
        items = _from_keywords(name, read_items(keywords.items)[0])
    within = ".".join(anchor) if anchor else None
    return _from_keywords(name, keywords, items=items, required=required, within=within)


def _from_keywords(
    name: str,
    keywords: Keywords,
    *,
    items: FieldContract | None = None,
    required: bool = False,
    within: str | None = None,
) -> FieldContract:
    minimum, maximum = keywords.bounds
    longest = LONGEST_ID if keywords.x_id and not keywords.enum else None
    kind = keywords.kind or "string"
    text_format = FORMATS.get(kind) if "string" in keywords.types and kind != "decimal" else None
    return FieldContract(
        name=name,
        required=required,
        sensitivity=keywords.x_sensitivity,
        types=keywords.types,
        column=keywords.x_column,
        trim=keywords.x_trim,
        values=tuple(keywords.enum or ()),
        synonyms=MappingProxyType(keywords.x_synonyms),
        other_names=tuple(keywords.x_other_names),
        pattern=_without_anchors(keywords.pattern) or text_format,
        min_length=keywords.min_length,
        max_length=longest if keywords.max_length is None else keywords.max_length,
        format=keywords.format,
        kind=kind,
        items=items,
        minimum=minimum,
        maximum=maximum,
        default=keywords.default,
        coerce=keywords.x_coerce,
        epoch=keywords.x_epoch,
        precision=keywords.x_precision or 0,
        scale=keywords.x_scale or 0,
        is_id=keywords.x_id,
        is_event_time=keywords.x_event_time,
        normalise=keywords.x_normalise,
        required_within=within,
    )


def _without_anchors(pattern: str | None) -> str | None:
    return pattern and pattern.removeprefix("^").removesuffix("$")


def _faults_of_all(
    fields: tuple[FieldContract, ...], objects: list[ObjectContract]
) -> Iterator[str]:
    """Yield what only a contract that no code of its own completes must obey."""
    if not any(field.is_id for field in fields):
        yield "no field has `x-id`; set it on the field, or fields, that identify a record"
    columns = [field.column for field in fields if field.column is not None]
    for column in {*columns}:
        if columns.count(column) > 1:
            yield f"`x-column`: two fields feed `{column}`"
        if not re.fullmatch(COLUMN_NAME, column):
            yield f"`x-column`: `{column}` is not lower-case letters, digits and `_`, 48 at most"
        if column in RESERVED_COLUMNS:
            yield f"`x-column`: every message has a column `{column}`; take another name"
    suffixes = [field.reason_suffix.lower() for field in fields]
    suffixes += [each.name.replace(".", "_").lower() for each in objects]
    for suffix in {*suffixes}:
        if suffixes.count(suffix) > 1:
            yield f"`{suffix}`: two fields would have this name in reason codes; rename one"
