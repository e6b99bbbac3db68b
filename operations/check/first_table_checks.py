"""Checks that the first table has what verify and rebuild compute everything else from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from operations.check.declaration_checks import conditions, known_types, named_columns
from operations.check.fault import CQL, Fault
from operations.check.folder import Folder
from operations.sql_text import columns_in
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import LINEAGE


def first_table_faults(folder: Folder) -> Iterator[Fault]:
    """Yield columns that the first table lacks, from which everything else is computed again."""
    declared = folder.declaration
    if declared is None or not declared.tables:
        return
    first = declared.tables[0].place
    if first not in folder.cql or first in folder.half_read:
        return
    known = known_types(folder)
    needed: dict[str, str] = {}
    for place, columns in (
        *named_columns(declared),
        *_columns_of_conditions(declared, known),
        *_columns_of_tables(folder, declared, known),
    ):
        if place != "clear":
            for column in columns:
                # A topic's messages are compared with the messages that they were made of.
                if column != "record_id" or not place.startswith("topics"):
                    needed.setdefault(column, place)
    # The lineage is every table's, and the outcome is computed again.
    there = {*folder.cql[first].columns, *LINEAGE, "outcome"}
    for column, place in needed.items():
        if column in known and column not in there:
            yield Fault(
                CQL,
                first,
                f"it lacks the column `{column}`, which `{place}` needs: verify and rebuild read"
                " the first table; add the column to it",
            )


def _columns_of_conditions(
    declared: Pipeline, known: Mapping[str, str]
) -> Iterator[tuple[str, Iterable[str]]]:
    for place, sql in conditions(declared):
        # What is not kept is not stored, so nothing is computed again from it.
        if place != "keep":
            yield place, columns_in(sql, known)


def _columns_of_tables(
    folder: Folder, declared: Pipeline, known: Mapping[str, str]
) -> Iterator[tuple[str, Iterable[str]]]:
    first = folder.cql[declared.tables[0].place].columns
    for table in declared.tables[1:]:
        if shape := folder.cql.get(table.place):
            yield table.place, [name for name in shape.columns if name in folder.fields]
            # Derived ones that the first table lacks are derived again, all at once.
            derived = {**folder.derived, **table.derived}
            for name in (each for each in shape.columns if each in derived and each not in first):
                yield f"{name} of {table.place}", columns_in(derived[name], known)
    for sql_table in declared.sql_tables:
        if sql_shape := folder.sql.get(sql_table.name):
            yield f"SQL table {sql_table.name}", sql_shape.columns
