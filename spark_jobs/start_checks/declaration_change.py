"""What a changed contract or declaration means for records that are stored already.

The shape of a declaration is kept with its checkpoint by each job that starts. Until a job starts
with the changed one, `millrace check` compares the two, and so does the job: it refuses what would
leave rows of two meanings in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from spark_jobs.start_checks.declaration_shape import Shape

Kind = Literal["safe", "needs a column", "needs a rebuild", "needs a replay", "breaking"]
# Parts of a field that decide its type.
TYPE_PARTS: Final = ("kind", "array", "epoch", "precision", "scale")
# Name in the file -> how it compares: +1 if a greater value accepts more, -1 if it accepts less.
LIMITS: Final = {"maximum": 1, "maxLength": 1, "minimum": -1, "minLength": -1}


@dataclass(frozen=True)
class Change:
    """One difference between two declarations, as a sentence.

    Attributes:
        kind: `safe`; what it needs before or after the next job; or `breaking`: stored records and
            new ones would not fit together.
        text: What changed and what to do.
    """

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def changes(before: Shape, after: Shape) -> list[Change]:
    """What changed from one shape to another, the breaking changes first.

    Args:
        before: The shape with which the stored records were made.
        after: The present one.
    """
    found = [*_of_fields(before, after), *_of_rules(before, after), *_of_targets(before, after)]
    return sorted(dict.fromkeys(found), key=lambda change: change.kind != "breaking")


def _of_fields(before: Shape, after: Shape) -> Iterator[Change]:
    if before["id"] != after["id"]:
        names = (", ".join(f"`{each}`" for each in shape["id"]) for shape in (before, after))
        yield Change("breaking", "the id was {} and is now {}".format(*names))
    for name in before["fields"].keys() - after["fields"].keys():
        if before["fields"][name]["column"]:
            yield Change("breaking", f"field `{name}` was removed; stored records have it")
        else:
            yield Change("safe", f"field `{name}` was removed; no column held it")
    for name, field in after["fields"].items():
        if name in before["fields"]:
            yield from _of_field(name, before["fields"][name], field)
        elif field["required"]:
            yield Change("breaking", f"new field `{name}` is required; stored records lack it")
        else:
            stored = f" for column `{field['column']}`" if field["column"] else " without a column"
            yield Change("safe", f"new optional field `{name}`{stored}")


def _of_field(name: str, before: Shape, after: Shape) -> Iterator[Change]:
    if any(before[part] != after[part] for part in TYPE_PARTS):
        yield Change(
            "breaking", f"field `{name}` was of type {_type(before)} and is now {_type(after)}"
        )
        return
    if before["column"] != after["column"]:
        yield _of_column(name, before["column"], after["column"])
    for part, text in (
        ("hashed", "is hashed on one side of the change only"),
        ("normalise", "is normalised in another way before its digest"),
        ("trim", "is trimmed on one side of the change only"),
        ("default", "has another default"),
    ):
        if part == "normalise" and not (before["hashed"] and after["hashed"]):
            continue
        if before[part] != after[part] and (before["column"] or after["column"]):
            yield Change("breaking", f"field `{name}` {text}; stored records have former values")
    yield from (_judged(f"field `{name}`", text, wider) for text, wider in _rules(before, after))


def _of_column(name: str, before: str | None, after: str | None) -> Change:
    if before is None:
        return Change("safe", f"field `{name}` now feeds column `{after}`")
    now = f"now feeds `{after}`" if after else "feeds no column any more"
    return Change("breaking", f"field `{name}` fed column `{before}` and {now}")


def _type(field: Shape) -> str:
    digits = f"({field['precision']},{field['scale']})" if field["kind"] == "decimal" else ""
    epoch = f" in {field['epoch']}" if field["epoch"] else ""
    text = f"{field['kind']}{digits}{epoch}"
    return f"array of {text}" if field["array"] else text


def _judged(what: str, text: str, is_wider: bool) -> Change:
    if is_wider:
        return Change("safe", f"{what}: {text}; it accepts more from now on")
    return Change("breaking", f"{what}: {text}; stored records may break the new rule")


def _rules(before: Shape, after: Shape) -> Iterator[tuple[str, bool]]:
    """Yield what a field accepts differently, and whether it accepts more."""
    if before["required"] != after["required"] or before["within"] != after["within"]:
        must = after["required"] or after["within"] is not None
        is_wider = not after["required"] and after["within"] is None
        yield ("is now required" if must else "is now optional"), is_wider
    if before["event_time"] != after["event_time"]:
        text = "is now the event time" if after["event_time"] else "is no longer the event time"
        yield text, not after["event_time"]
    if before["coerce"] != after["coerce"]:
        yield f"`x-coerce` is now {str(after['coerce']).lower()}", bool(after["coerce"])
    if before["types"] != after["types"]:
        yield f"`type` is now {', '.join(after['types'])}", {*before["types"]} <= {*after["types"]}
    if before["pattern"] != after["pattern"]:
        yield "`pattern` changed", after["pattern"] is None
    yield from _of_enum(before["enum"], after["enum"])
    if before["synonyms"] != after["synonyms"]:
        yield "`x-synonyms` changed", before["synonyms"].items() <= after["synonyms"].items()
    if before["other_names"] != after["other_names"]:
        is_wider = {*before["other_names"]} <= {*after["other_names"]}
        yield "`x-other-names` changed", is_wider
    for limit, direction in LIMITS.items():
        if before[limit] != after[limit]:
            yield (
                f"`{limit}` {_moved(limit, before, after)}",
                _is_wider(before[limit], after[limit], direction),
            )


def _moved(limit: str, before: Shape, after: Shape) -> str:
    former, present = before[limit], after[limit]
    if present is None:
        return f"{former} was removed"
    return f"is now {present}" + ("" if former is None else f", it was {former}")


def _is_wider(before: Any, after: Any, direction: int) -> bool:
    if before is None or after is None:
        return after is None
    return (Decimal(str(after)) - Decimal(str(before))) * direction > 0


def _of_enum(before: list[Any], after: list[Any]) -> Iterator[tuple[str, bool]]:
    if bool(before) != bool(after):
        # Values of an enumeration are stored in one spelling, a free text as sent.
        yield ("is now an enumeration" if after else "is no longer an enumeration"), False
        return
    if removed := [each for each in before if each not in after]:
        yield f"`enum` lost {', '.join(map(str, removed))}", False
    if added := [each for each in after if each not in before]:
        yield f"`enum` gained {', '.join(map(str, added))}", True


def _of_rules(before: Shape, after: Shape) -> Iterator[Change]:
    for rule, what in (("keep", "which records are kept"), ("alert", "which records are alerts")):
        if before[rule] != after[rule]:
            yield Change("breaking", f"`{rule}` changed, and so {what}")
    for column in before["derived"].keys() & after["derived"].keys():
        if before["derived"][column] != after["derived"][column]:
            yield Change(
                "breaking", f"derived column `{column}` changed; stored records have former values"
            )


def _of_targets(before: Shape, after: Shape) -> Iterator[Change]:
    for group, what, how in (
        ("tables", "table", _of_cassandra_table),
        ("sql_tables", "SQL table", _of_sql_table),
        ("file_sets", "file set", _of_selection),
        ("topics", "topic", _of_selection),
        ("aggregates", "aggregate", _of_aggregate),
    ):
        for name in before[group].keys() - after[group].keys():
            yield Change("breaking", f"{what} `{name}` was removed; it would get nothing new")
        for name, target in after[group].items():
            if name in before[group]:
                yield from how(f"{what} `{name}`", name, before[group][name], target)
            else:
                yield _new_target(group, f"{what} `{name}`")


# Targets that no replay fills.
NEVER_FILLED = frozenset({"topics"})


def _new_target(group: str, what: str) -> Change:
    if group in NEVER_FILLED:
        return Change("safe", f"new {what}; it gets the records that are stored from now on")
    if group == "aggregates":
        return _rebuild(f"new {what}")
    return Change(
        "needs a replay",
        f"new {what}; it lacks the stored records until `make up` has created what it needs and"
        " a replay of its sink has filled it",
    )


def _rebuild(what: str) -> Change:
    return Change(
        "needs a rebuild",
        f"{what}; its documents lack the stored records until"
        " `.venv/bin/millrace rebuild aggregates`",
    )


Added = Callable[[str, str], str]


def _of_table(
    what: str, name: str, before: Shape, after: Shape, alter: Added, stores_again: bool = True
) -> Iterator[Change]:
    if before["key"] != after["key"]:
        yield Change("breaking", f"the key of {what} was {before['key']}, now {after['key']}")
    former, present = before["columns"], after["columns"]
    for column in former.keys() - present.keys():
        yield Change("breaking", f"column `{column}` of {what} was removed; stored rows have it")
    for column, kind in present.items():
        if column not in former:
            yield Change(
                "needs a column",
                f"column `{column}` of {what} is new: `{alter(column, kind)}`; rows that are"
                " stored already have none there",
            )
        elif former[column] != kind:
            yield Change(
                "breaking", f"column `{column}` of {what} was {former[column]}, now {kind}"
            )
    for part in ("outcome", "where", "stand_ins"):
        if before.get(part) != after.get(part):
            yield Change("breaking", f"`{part}` of {what} changed; stored rows follow the former")


def _of_cassandra_table(what: str, name: str, before: Shape, after: Shape) -> Iterator[Change]:
    return _of_table(
        what, name, before, after, lambda column, kind: f"ALTER TABLE {name} ADD {column} {kind};"
    )


def _of_sql_table(what: str, name: str, before: Shape, after: Shape) -> Iterator[Change]:
    def alter(column: str, kind: str) -> str:
        return f"ALTER TABLE {name} ADD COLUMN {column} {kind};"

    return _of_table(what, name, before, after, alter)


def _of_selection(what: str, name: str, before: Shape, after: Shape) -> Iterator[Change]:
    for part in ("day", "outcome", "where"):
        if before.get(part) != after.get(part):
            yield Change(
                "breaking", f"`{part}` of {what} changed; what it holds follows the former"
            )
    former, present = before["columns"], after["columns"]
    for column in former.keys() - present.keys():
        yield Change("breaking", f"column `{column}` of {what} was removed")
    for column, kind in present.items():
        if column not in former:
            yield Change(
                "safe", f"column `{column}` of {what} is new; it is absent from former ones"
            )
        elif former[column] != kind:
            yield Change(
                "breaking", f"column `{column}` of {what} was {former[column]}, now {kind}"
            )


def _of_aggregate(what: str, name: str, before: Shape, after: Shape) -> Iterator[Change]:
    if before["by"] != after["by"]:
        yield Change("breaking", f"the dimensions of {what} changed; its documents have the former")
    if before["where"] != after["where"]:
        yield Change("breaking", f"`where` of {what} changed; its documents count by the former")
    former, present = before["measures"], after["measures"]
    for measure in former.keys() - present.keys():
        yield Change(
            "breaking", f"measure `{measure}` of {what} was removed; its documents have it"
        )
    for measure, text in present.items():
        if measure not in former:
            yield _rebuild(f"measure `{measure}` of {what} is new")
        elif former[measure] != text:
            yield Change("breaking", f"measure `{measure}` of {what} was {former[measure]}")
