"""What a sample has: each field with its values over all records, and what no field can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.contract import WHITE_SPACE

# A contract with more fields than this makes a job's plan slow.
MOST_FIELDS: Final = 400
# An object with more names is rather a map, whose names are data.
MOST_NAMES: Final = 50
LEAST_SHARE: Final = 0.1
DEEPEST: Final = 12

Path = tuple[str, ...]


@dataclass(frozen=True)
class Observed:
    """One field.

    Attributes:
        path: Names of the objects around it, then its own, as sent.
        values: One per record, None where it is absent, null or blank.
        around: In how many records each object around it is there, from the record itself inwards.
        is_loose: Whether a blank text stands for an object around it in some records, which a
            contract with that object would refuse.
    """

    path: Path
    values: Sequence[Any]
    around: tuple[int, ...]
    is_loose: bool = False

    @property
    def name(self) -> str:
        """The dotted path, for messages."""
        return ".".join(self.path)

    @property
    def filled(self) -> list[Any]:
        """The values that are there."""
        return [value for value in self.values if value is not None]

    @property
    def is_always_there(self) -> bool:
        """Whether every record has a value."""
        return None not in self.values

    @property
    def is_there_with_parent(self) -> bool:
        """Whether every record with the object around it has a value."""
        return len(self.filled) == self.around[-1]


@dataclass(frozen=True)
class LeftOut:
    """What cannot be a field of a contract as it is, and why.

    Attributes:
        name: The dotted path.
        why: The reason.
        observed: Its values, unless no contract can have its name.
    """

    name: str
    why: str
    observed: Observed | None = None


def observe(records: Sequence[dict[str, Any]]) -> tuple[list[Observed], list[LeftOut]]:
    """Return the fields in the order in which they appear first, and what is left out."""
    fields: list[Observed] = []
    left: list[LeftOut] = []
    for found in _fields((), records, ()):
        (fields if isinstance(found, Observed) else left).append(found)  # type: ignore[arg-type]
    if len(fields) > MOST_FIELDS:
        kept = sorted(fields, key=lambda field: -len(field.filled))[:MOST_FIELDS]
        rest = [field for field in fields if field not in kept]
        left += [LeftOut(f.name, f"more than {MOST_FIELDS} fields", f) for f in rest]
        fields = [field for field in fields if field in kept]
    return fields, left


def _fields(
    path: Path, objects: Sequence[Any], outside: tuple[int, ...], is_loose: bool = False
) -> Iterator[Observed | LeftOut]:
    """Yield what the objects hold, one per record, None where there is none."""
    present = [each for each in objects if isinstance(each, dict)]
    around = (*outside, len(present))
    names = list(dict.fromkeys(name for each in present for name in each))
    whole = Observed(path, objects, outside, is_loose)
    if path and _is_map(names, present):
        yield LeftOut(whole.name, f"an object of {len(names)} different names: a map", whole)
        return
    if not names:
        yield LeftOut(whole.name, "an object without any field", whole if path else None)
    for name in names:
        own = (*path, name)
        sent = [each.get(name) if isinstance(each, dict) else None for each in objects]
        values = [None if _is_blank(value) else value for value in sent]
        filled = [value for value in values if value is not None]
        are_objects = {isinstance(value, dict) for value in filled}
        field = Observed(own, values, around, is_loose)
        if "\\" in name:
            yield LeftOut(field.name, "its name has a backslash")
        elif not name:
            yield LeftOut(field.name, "its name is empty")
        elif not filled:
            yield LeftOut(field.name, "absent, null or blank in every record", field)
        elif are_objects == {True} and len(own) == DEEPEST:
            yield LeftOut(field.name, f"an object inside {DEEPEST - 1} others", field)
        elif are_objects == {True}:
            loose = is_loose or any(map(_is_blank, sent))
            yield from _fields(own, values, around, loose)
        elif True in are_objects:
            why = "an object in some records and something else in others"
            yield LeftOut(field.name, why, field)
        else:
            yield field


def _is_map(names: list[str], present: list[dict[str, Any]]) -> bool:
    filled = sum(len(each) for each in present)
    return len(names) > MOST_NAMES and filled < LEAST_SHARE * len(names) * len(present)


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip(WHITE_SPACE)
