"""Checks of personal data: what would reach a sink in clear."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from operations.check.fault import CONTRACT, DECLARATION, Fault, note
from operations.check.folder import Folder
from operations.masking import personal_sources
from operations.sql_text import columns_in
from spark_jobs.pipeline import Pipeline

# Parts of names of fields that usually hold data about a person.
TELLING: Final = re.compile(
    r"(?:^|_)(?:e?_?mail|phone|telephone|mobile|fax|address|street|first_?name|last_?name|full_?name"
    r"|sur_?name|given_?name|family_?name|user_?name|birth\w*|dob|ssn|iban|passport|ip|ip_address"
    r"|licen[cs]e_plate|latitude|longitude)(?:$|_)"
)
WORD_BREAK: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


def privacy_faults(folder: Folder) -> Iterator[Fault]:
    """Yield personal columns that a sink would hold in clear without being listed in `clear`."""
    if folder.contract is None:
        return
    for field in folder.contract.fields:
        name = WORD_BREAK.sub("_", field.name.rpartition(".")[2]).lower()
        is_sure = field.column not in folder.doubtful
        if field.sensitivity == "public" and is_sure and TELLING.search(name):
            yield note(
                CONTRACT,
                field.name,
                "by its name it may be personal, and `public` shows it to anyone; consider"
                " `personal` or `hashed`",
            )
    declared = folder.declaration
    if declared is None:
        return
    sources = personal_sources(folder.contract, folder.derived, declared.tables)
    for column, places in _stored(folder, declared, [*sources]).items():
        if column in declared.clear:
            continue
        made = f" is made of `{sources[column]}`, which" if column != sources[column] else ""
        field_name = folder.fields[sources[column]].name
        yield Fault(
            DECLARATION,
            "clear",
            f"`{column}`{made} is `personal` and would be in clear in {', '.join(places)}; take it"
            f" out there, set `x-sensitivity` of the field `{field_name}` to `hashed`, or allow it:"
            f' `clear=("{column}",)`',
        )
    for column in declared.clear:
        if column in folder.fields and column not in {*sources, *folder.doubtful}:
            sensitivity = folder.fields[column].sensitivity
            yield note(DECLARATION, "clear", f"`{column}` is `{sensitivity}` and needs no entry")
    if folder.derives_unseen and sources:
        yield note(
            DECLARATION,
            "derived",
            "a function adds these columns, so nothing here can say whether one holds personal"
            " data; SQL in a dictionary can be checked",
        )


def _stored(folder: Folder, declared: Pipeline, columns: list[str]) -> dict[str, list[str]]:
    """Column -> the places that would hold its values."""
    places: dict[str, list[str]] = defaultdict(list)
    first = folder.cql.get(declared.tables[0].place) if declared.tables else None
    usual = [*first.columns] if first else [*folder.fields]
    for column in columns:
        for table in declared.tables:
            if table.place in folder.cql and column in folder.cql[table.place].columns:
                places[column].append(f"table `{table.place}`")
        for sql_table in declared.sql_tables:
            if sql_table.name in folder.sql and column in folder.sql[sql_table.name].columns:
                places[column].append(f"SQL table `{sql_table.name}`")
        for file_set in declared.file_sets:
            if column in (file_set.columns or usual):
                places[column].append(f"file set `{file_set.name}`")
        for topic in declared.topics:
            if column in (topic.columns or usual) or columns_in(topic.key, {column: 0}):
                places[column].append(f"topic `{topic.name}`")
        for aggregate in declared.aggregates:
            grouped = [dimension.column for dimension in aggregate.dimensions]
            # The lowest and the highest are values of records.
            grouped += [
                str(m.column)
                for m in aggregate.measures.values()
                if m.kind in ("minimum", "maximum")
            ]
            if column in grouped:
                places[column].append(f"aggregate `{aggregate.name}`")
    return places
