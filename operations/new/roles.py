"""What fields are for: which of them identify a record, and which says when it happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, Final

from errors import PipelineError
from operations.new.guess import Guess
from operations.new.observed import Observed
from operations.new.personal import Personal
from operations.new.words import (
    ENTITIES,
    FIRST_TIMES,
    IDS,
    LATER_TIMES,
    OPEN_SETS,
    TIMES,
    has_any,
    words_of,
)
from runtime.remedies import nearest
from schemas.moments import instant
from schemas.types import EPOCH_UNITS, LONGEST_ID, Kind

ID_KINDS: Final[frozenset[Kind]] = frozenset(("string", "integer", "timestamp", "date", "uuid"))
TIME_KINDS: Final[frozenset[Kind]] = frozenset(("timestamp", "date"))
# Suggested if nothing identifies a record: how many, and among how many fields they are looked for.
MOST_SUGGESTED, MOST_TRIED = 3, 12


@dataclass(frozen=True)
class Field:
    """A field of the sample, what it is taken for, and what it is for."""

    observed: Observed
    guess: Guess
    personal: Personal | None = None
    is_id: bool = False
    is_event_time: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The dotted path as sent."""
        return self.observed.name

    @property
    def words(self) -> list[str]:
        """The words of its own name."""
        return words_of(self.observed.path[-1])


def with_event_time(fields: Sequence[Field], now: datetime) -> list[Field]:
    """Mark the field that most likely says when a record happened, if there is one.

    A value in the future rules a field out, as the platform refuses such event times.
    """
    able = [field for field in fields if field.guess.kind in TIME_KINDS and not field.personal]
    able = [f for f in able if not f.guess.is_array and not has_any(f.words, LATER_TIMES)]
    able = [f for f in able if 2 * len(f.observed.filled) >= len(f.observed.values)]
    able = [f for f in able if max(instants(f)) <= now]
    if not able:
        return [*fields]
    chosen = min(able, key=_time_order)
    says = "name and type say" if has_any(chosen.words, TIMES) else "type says"
    rivals = f", before {len(able) - 1} other(s)" if len(able) > 1 else ""
    why = f"the event time: its {says} so{rivals}"
    return [_with(f, why, is_event_time=True) if f is chosen else f for f in fields]


def _time_order(field: Field) -> tuple[bool, bool, int, bool, int]:
    name = "_".join(field.words)
    known = FIRST_TIMES.index(name) if name in FIRST_TIMES else len(FIRST_TIMES)
    return (
        not field.observed.is_always_there,
        field.guess.kind == "date",
        known,
        not has_any(field.words, TIMES),
        len(field.observed.path),
    )


def instants(field: Field) -> list[datetime]:
    """When each record happened, in UTC and in milliseconds; a date is its midnight."""
    return [_instant(field, value) for value in field.observed.filled]


def _instant(field: Field, value: Any) -> datetime:
    if unit := field.guess.keywords.get("x-epoch"):
        milliseconds = int(value) * 1_000 // EPOCH_UNITS[unit]
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    text = str(value).strip()
    at = (
        datetime.fromisoformat(f"{text}T00:00:00Z")
        if len(text) == len("YYYY-MM-DD")
        else instant(text)
    )
    # No store keeps more.
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000)


def with_asked_id(fields: Sequence[Field], asked: Sequence[str]) -> list[Field]:
    """Mark the fields that `--id` names.

    Raises:
        PipelineError: A name is not a field, or a field cannot be part of an id; all of them.
    """
    by_name = {field.name: field for field in fields}
    faults = [fault for name in asked if (fault := _fault(name, by_name))]
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise PipelineError(f"`--id` cannot be used:\n{lines}")
    marked = [_as_id(f, "named by --id") if f.name in asked else f for f in fields]
    return marked


def _fault(name: str, fields: dict[str, Field]) -> str | None:
    field = fields.get(name)
    if field is None:
        near = nearest(name, fields)
        return f"`{name}`: the sample has no such field.{near}"
    if field.guess.is_array or field.guess.kind == "boolean":
        what = "an array" if field.guess.is_array else "a boolean"
        return f"`{name}`: {what} identifies nothing"
    if not field.observed.is_always_there:
        missing = len(field.observed.values) - len(field.observed.filled)
        return f"`{name}`: absent, null or blank in {missing} record(s)"
    if field.guess.keywords.get("x-epoch") == "microseconds":
        return f"`{name}`: an instant in microseconds, and instants are stored by the millisecond"
    if any(len(str(value)) > LONGEST_ID for value in field.observed.filled):
        return f"`{name}`: a text of more than {LONGEST_ID} characters, which no store takes as key"
    if field.personal and field.personal.sensitivity == "never":
        return f"`{name}`: {field.personal.why}, and an id is stored as it is"
    return None


def with_likely_id(
    fields: Sequence[Field], records: Sequence[dict[str, Any]], pipeline: str
) -> list[Field]:
    """Mark the field, or fields, that most likely identify a record.

    Records that are equal as a whole are copies of one, and count once.

    Raises:
        PipelineError: Nothing in the sample does; says what to do.
    """
    places = _without_copies(records)
    able = [field for field in fields if _can_identify(field)]
    ranked = [(rank, f) for f in able if (rank := _rank(f, fields, pipeline)) is not None]
    singles = [f for _, f in sorted(ranked, key=lambda each: each[0]) if _is_unique([f], places)]
    pairs = [parts for parts in _with_time(able) if _is_unique(parts, places)]
    if singles and not (pairs and _is_device(singles[0])):
        chosen = [singles[0]]
    elif pairs:
        chosen = pairs[0]
    else:
        raise PipelineError(_no_id(able, places))
    many = len(records)
    why = f"{'part of ' if len(chosen) > 1 else ''}the id: " + (
        f"no other record of {many} has it" if len(places) > 1 else "only its name says so"
    )
    return [_as_id(field, why) if field in chosen else field for field in fields]


def repeated(fields: Sequence[Field], records: Sequence[dict[str, Any]]) -> int:
    """How many records have the id of an earlier one; only the first arrival is stored."""
    ids = [field for field in fields if field.is_id]
    return len(records) - len({*_keys(ids, range(len(records)))})


def _without_copies(records: Sequence[dict[str, Any]]) -> list[int]:
    first: dict[str, int] = {}
    for place, record in enumerate(records):
        first.setdefault(json.dumps(record, sort_keys=True, default=str), place)
    return [*first.values()]


def _can_identify(field: Field) -> bool:
    return (
        field.guess.kind in ID_KINDS
        and field.guess.keywords.get("x-epoch") != "microseconds"
        and not field.guess.is_array
        and field.personal is None
        and field.observed.is_always_there
        and all(len(str(value)) <= LONGEST_ID for value in field.observed.values)
    )


def _rank(field: Field, fields: Sequence[Field], pipeline: str) -> tuple[bool, int, int] | None:
    """How likely a field alone is the id, least first; None if nothing but chance says so."""
    words, place = field.words, fields.index(field)
    if field.guess.kind in TIME_KINDS:
        return None
    own = [word.removesuffix("s") for word in words_of(pipeline)]
    is_inner = len(field.observed.path) > 1
    if words and words[-1] in IDS and words[:-1] in ([], own, own[-1:], words_of(pipeline)):
        rank = 0 if words[:-1] or words[-1] in {"id", "uuid", "guid"} else 2
    elif has_any(words[-1:], frozenset(("id", "uuid", "guid", "oid"))):
        rank = 1
    elif has_any(words, IDS):
        rank = 2
    elif "".join(words).endswith(("nummer", "number", "reference", "referenz")):
        rank = 2
    elif field.guess.kind == "uuid":
        rank = 3
    elif place == 0 and not has_any(words, OPEN_SETS) and _looks_like_a_code(field):
        rank = 4
    else:
        return None
    return is_inner, rank, place


def _looks_like_a_code(field: Field) -> bool:
    texts = [str(value) for value in field.observed.values]
    return field.guess.choices == 0 and all(
        len(text) <= 64 and not any(c.isspace() for c in text) and any(c.isdigit() for c in text)
        for text in texts
    )


def _is_device(field: Field) -> bool:
    return has_any(field.words, ENTITIES)


def _with_time(able: Sequence[Field]) -> Iterator[list[Field]]:
    """Yield combinations of what is measured, or who acts, with the time; likely ones first."""
    times = [f for f in able if f.guess.kind == "timestamp" and not has_any(f.words, LATER_TIMES)]
    times.sort(key=lambda f: (not f.is_event_time, _time_order(f)))
    others = [f for f in able if f.guess.kind not in TIME_KINDS]
    named = [f for f in others if has_any(f.words, IDS | ENTITIES)]
    for at in times[:2]:
        yield from ([part, at] for part in named)
        for part in named:
            yield from ([part, each, at] for each in others if each.guess.choices and each != part)


def _is_unique(fields: Sequence[Field], places: Sequence[int]) -> bool:
    return len({*_keys(fields, places)}) == len(places)


def _keys(fields: Sequence[Field], places: Sequence[int]) -> Iterator[tuple[str, ...]]:
    for place in places:
        yield tuple(_key(field, field.observed.values[place]) for field in fields)


def _key(field: Field, value: Any) -> str:
    if field.guess.kind in TIME_KINDS:
        return _instant(field, value).isoformat()
    text = str(value).strip() if "x-trim" in field.guess.keywords else str(value)
    return text.lower() if field.guess.kind == "uuid" or field.guess.keywords.get("enum") else text


def _no_id(able: Sequence[Field], places: Sequence[int]) -> str:
    text = (
        "The sample has no id: no field that looks like one differs in every record, alone or with"
        " a time. Name the field, or fields, that identify a record with `--id FIELD,…`."
    )
    tried = able[:MOST_TRIED]
    groups = [[field] for field in able]
    groups += [[*pair] for pair in combinations(tried, 2)]
    found = [group for group in groups if _is_unique(group, places)] if len(places) > 1 else []
    if not found:
        return f"{text} No two fields together differ in every record."
    shown = ", ".join(
        f"`--id {','.join(field.name for field in group)}`" for group in found[:MOST_SUGGESTED]
    )
    return f"{text} These differ in every record of the sample: {shown}."


def _as_id(field: Field, why: str) -> Field:
    """The field as an id: a text with room as wide as a key may be, in clear."""
    guess = field.guess
    keywords = dict(guess.keywords)
    if guess.kind not in ID_KINDS and guess.kind != "email":
        types = "string" if guess.keywords.get("x-coerce") else ["string", "number"]
        keywords, guess = {"type": types}, replace(guess, kind="string")
    if keywords.get("maxLength", LONGEST_ID + 1) > LONGEST_ID:
        keywords.pop("maxLength", None)
    # The limit of an id is its maximum length.
    guess = replace(guess, keywords=keywords, adds_up=None)
    return _with(replace(field, guess=guess), why, is_id=True)


def _with(field: Field, why: str, **changes: bool) -> Field:
    return replace(field, reasons=(*field.reasons, why), **changes)  # type: ignore[arg-type]
