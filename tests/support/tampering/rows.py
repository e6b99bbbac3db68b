"""Tamperings with rows, the same for every store that has rows: tables and sets of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tests.support.tampering.tampering import Tampering, exactly
from tests.support.tampering.values import other, text_of

Row = dict[str, Any]
COORDINATES: Final = ("kafka_partition", "kafka_offset", "kafka_timestamp")
FOREIGN_ID: Final = "foreign"


@dataclass(frozen=True)
class Place:
    """A table or set of files.

    Attributes:
        store: Its name in messages.
        name: The place's name in messages.
        identity: The columns that identify a record.
        fixed: Columns of the store's own key, which a row cannot exchange with another.
        columns: Its columns.
        rows: All rows.
        instead: Replaces rows by others until the end.
        roles: Column -> what distinguishes it, as `roles_of` says.
        needed: Columns that cannot be null.
        has_doubles: Whether a row can be there twice.
        form: Of files.
    """

    store: str
    name: str
    identity: tuple[str, ...]
    fixed: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Callable[[], list[Row]]
    instead: Callable[[Sequence[Row], Sequence[Row]], AbstractContextManager[object]]
    roles: Mapping[str, str] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    has_doubles: bool = False
    form: str = ""

    def id_of(self, row: Row) -> str:
        return "|".join(text_of(row[name]) for name in self.identity)

    def named(self, row: Row, *others: str) -> tuple[str, ...]:
        return (self.store, re.escape(self.name), exactly(self.id_of(row)), *others)

    def sorted_rows(self) -> list[Row]:
        return sorted(self.rows(), key=self.id_of)

    def holding(self, column: str) -> list[Row]:
        """Rows with a value in a column."""
        return [row for row in self.sorted_rows() if row.get(column) is not None]


def roles_of(pipeline: Any) -> dict[str, str]:
    """Column -> what distinguishes it from others of its type."""
    roles = {f.column: f.sensitivity for f in pipeline.contract.fields if f.column}
    derived = {column for table in pipeline.tables for column in table.derived}
    names = {"hash_key_id", *COORDINATES}
    return roles | dict.fromkeys(derived, "derived") | {name: name for name in names}


def of_rows(places: Sequence[Place]) -> Iterator[Tampering]:
    """Tamperings with the rows of each place alone, then with those of all places."""
    for place in places:
        # A table with another key than the record's id is read and compared in its own way.
        own = f"{place.store}{' by another key' if {*place.fixed} > {*place.identity} else ''}"
        yield from _changes(place, own)
        yield from _others(place, own)
    groups: dict[tuple[str, ...], list[Place]] = {}
    for place in places:
        groups.setdefault(place.identity, []).append(place)
    for group in groups.values():
        yield from _everywhere(group)


def _changes(place: Place, own: str) -> Iterator[Tampering]:
    for column in place.columns:
        rows = place.holding(column)
        if not rows or column in place.identity:
            continue
        row, is_key = rows[0], column in place.fixed
        role = "key" if is_key else _role(place, column)
        yield Tampering(
            "change",
            f"{place.store} {place.name}: {column}",
            f"{own} {place.form}: change" if role in {"public", "key"} else f"row: {role}",
            partial(place.instead, [row], [row | {column: other(row[column])}]),
            (place.named(row, *([] if is_key else [rf"\b{column}\b"])),),
            _secret(place, column, row),
        )
        if is_key or column in place.needed:
            continue
        yield Tampering(
            "delete",
            f"{place.store} {place.name}: {column} is null",
            "row: null",
            partial(place.instead, [row], [row | {column: None}]),
            (place.named(row, rf"\b{column}\b"),),
        )
        unlike = next((r for r in rows if r[column] != row[column]), None)
        if unlike is None:
            continue
        swapped = [row | {column: unlike[column]}, unlike | {column: row[column]}]
        yield Tampering(
            "swap",
            f"{place.store} {place.name}: {column} of two rows",
            "row: swap",
            partial(place.instead, [row, unlike], swapped),
            tuple(place.named(r, rf"\b{column}\b") for r in (row, unlike)),
        )


def _others(place: Place, own: str) -> Iterator[Tampering]:
    rows = place.sorted_rows()
    if not rows:
        return
    row, last = rows[0], rows[-1]
    name = f"{place.store} {place.name}"
    yield Tampering(
        "delete", f"{name}: a row", f"{own}: delete", partial(place.instead, [row], []),
        (place.named(row),),
    )  # fmt: skip
    foreign = _foreign(place, row)
    yield Tampering(
        "foreign", f"{name}: a row", f"{own}: foreign", partial(place.instead, [], [foreign]),
        (place.named(foreign),),
    )  # fmt: skip
    yield Tampering(
        "move", f"{name}: a row under a foreign id", "row: id",
        partial(place.instead, [last], [_foreign(place, last)]),
        (place.named(last), place.named(_foreign(place, last))),
    )  # fmt: skip
    if place.has_doubles:
        yield Tampering(
            "double", f"{name}: a row", f"{own}: double", partial(place.instead, [], [row]),
            (place.named(row),),
        )  # fmt: skip
    for column in {*place.fixed} - {*place.identity}:
        # Only another key lets the same record be there twice.
        twin = row | {column: other(row[column])}
        yield Tampering(
            "double", f"{name}: a row with another {column}", "row: double by another key",
            partial(place.instead, [], [twin]), (place.named(row),),
        )  # fmt: skip


def _everywhere(group: Sequence[Place]) -> Iterator[Tampering]:
    """The same change in every table and file that has the record."""
    where = " and ".join(dict.fromkeys(place.store for place in group))
    first = group[0]
    for column in dict.fromkeys(name for place in group for name in place.columns):
        if column in first.identity:
            continue
        having = [place for place in group if column in place.columns]
        source = next((place for place in having if place.holding(column)), None)
        if source is None:
            continue
        row = source.holding(column)[0]
        yield Tampering(
            "change",
            f"{where}, all places: {column}",
            f"all: {type(row[column]).__name__} {_role(source, column, 'derived', *COORDINATES)}",
            partial(_all_changed, having, source.id_of(row), column),
            # A copy that is like the wrong row is not named a second time.
            ((exactly(source.id_of(row)), rf"\b{column}\b"),),
            _secret(source, column, row),
        )
    every = [row for row in first.sorted_rows() if all(_find(p, first.id_of(row)) for p in group)]
    row = (every or first.sorted_rows())[0]
    name = first.id_of(row)
    yield Tampering(
        "delete", f"{where}, all places: a record", "all: delete",
        partial(_all_replaced, group, name, lambda place, row: []), ((exactly(name),),),
    )  # fmt: skip
    foreign = first.id_of(_foreign(first, row))
    yield Tampering(
        "foreign", f"{where}, all places: a record", "all: foreign",
        partial(_all_replaced, group, name, lambda place, row: [row, _foreign(place, row)]),
        ((exactly(foreign),),),
    )  # fmt: skip
    yield Tampering(
        "move", f"{where}, all places: a record under a foreign id", "all: id",
        partial(_all_replaced, group, name, lambda place, row: [_foreign(place, row)]),
        ((exactly(foreign),), (exactly(name),)),
    )  # fmt: skip


def _all_changed(group: Sequence[Place], name: str, column: str) -> ExitStack:
    return _all_replaced(
        group, name, lambda place, row: [row | {column: _changed(place, row, column)}]
    )


def _changed(place: Place, row: Row, column: str) -> Any:
    value = row.get(column)
    return None if value is None else other(value)


def _all_replaced(
    group: Sequence[Place], name: str, change: Callable[[Place, Row], list[Row]]
) -> ExitStack:
    with ExitStack() as stack:
        for place in group:
            if row := _find(place, name):
                stack.enter_context(place.instead([row], change(place, row)))
        return stack.pop_all()


def _find(place: Place, name: str) -> Row | None:
    return next((row for row in place.rows() if place.id_of(row) == name), None)


def _foreign(place: Place, row: Row) -> Row:
    """The row under an id that no message has."""
    column = place.identity[-1]
    value = row[column]
    # Of coordinates, far behind the topic's end would be another finding.
    return row | {column: FOREIGN_ID if isinstance(value, str) else other(value)}


def _role(place: Place, column: str, *apart: str) -> str:
    """What distinguishes a column; of the message's coordinates only those that are set apart."""
    if column in COORDINATES and column not in apart:
        return "coordinates"
    role = place.roles.get(column, "public")
    return role if role in {"hashed", "hash_key_id", *apart} else "public"


def _secret(place: Place, column: str, row: Row) -> str | None:
    is_secret = place.roles.get(column) in {"personal", "hashed"}
    return str(other(row[column])) if is_secret else None
