"""Reads a pipeline's folder as far as it can be read, and says what cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cql import declared as cql
from errors import ContractError, PipelineError
from operations.check.fault import CONTRACT, CQL, DECLARATION, SQL, Fault
from runtime.config.pipeline_folders import BUILT_IN, PIPELINE_NAME
from schemas.contract import read_contract
from schemas.fields import Contract, FieldContract
from spark_jobs.columns import is_fillable, shard_columns
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import read_declaration
from spark_jobs.targets import Table
from sql import declared as sql


@dataclass
class Folder:
    """What was read of a pipeline's folder; None or empty where it could not be read.

    Attributes:
        name: The pipeline.
        contract: Its contract, as far as it can be read.
        declaration: The object `PIPELINE` as it stands, with parts of the right types.
        cql_text: `tables.cql`.
        cql: The tables of it, by `keyspace.table`.
        sql_text: `tables.sql`, which need not exist.
        sql: The tables of it.
        faults: What cannot be read.
        half_read: Tables of `tables.cql` that have more columns than could be read.
        doubtful: Columns of fields with faults, whose types and rules are not known for certain.
    """

    name: str
    path: Path
    contract: Contract | None = None
    declaration: Pipeline | None = None
    cql_text: str | None = None
    cql: Mapping[str, cql.CassandraShape] = field(default_factory=dict)
    sql_text: str | None = None
    sql: Mapping[str, sql.PostgresShape] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    half_read: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)

    @property
    def fields(self) -> dict[str, FieldContract]:
        """Column -> the field that feeds it."""
        fields = self.contract.fields if self.contract else ()
        return {each.column: each for each in fields if each.column}

    def why_null(self, column: str) -> str:
        """Why the column of a field can be null in a stored record; empty if it cannot."""
        each = self.fields[column]
        if column in self.doubtful:
            return ""
        if not each.required and each.default is None:
            return "may be absent"
        if each.sensitivity == "hashed" and each.normalise == "phone":
            return "has no digest if no digit is in it"
        return ""

    @property
    def id_columns(self) -> list[str]:
        """The columns of the record's id."""
        return [name for name, each in self.fields.items() if each.is_id]

    @property
    def derived(self) -> Mapping[str, str]:
        """Derived columns with their SQL; empty if a function adds them."""
        if self.declaration is None or callable(self.declaration.derived):
            return {}
        own = self.declaration.derived
        if self.contract is None:
            return own
        tables = self.declaration.tables
        return {**shard_columns(self.contract, self.id_columns, tables), **own}

    @property
    def columns_of_tables(self) -> list[Mapping[str, str]]:
        """The columns of each table, with the types of its store."""
        shapes = [shape.columns for shape in self.cql.values()]
        return shapes + [shape.columns for shape in self.sql.values()]

    @property
    def derives_unseen(self) -> bool:
        """Whether derived columns are not known: a function adds them, or nothing could be read."""
        return self.declaration is None or callable(self.declaration.derived)

    def pipeline(self) -> Pipeline | None:
        """The declaration with its contract, and what of its tables records can fill.

        None if contract or declaration cannot be read without faults.
        """
        declared = self.declaration
        has_faults = any(fault.file == CONTRACT for fault in self.faults)
        if declared is None or self.contract is None or has_faults:
            return None
        tables = {place: replace(s, columns=_fillable(s.columns)) for place, s in self.cql.items()}
        sqls = {name: replace(s, columns=_fillable(s.columns)) for name, s in self.sql.items()}
        return replace(
            declared,
            name=self.name,
            contract=self.contract,
            folder=self.path,
            tables=tuple(
                replace(t, shape=tables[t.place]) for t in declared.tables if t.place in tables
            ),
            sql_tables=tuple(
                replace(t, shape=sqls[t.name]) for t in declared.sql_tables if t.name in sqls
            ),
        )

    def table(self, place: str) -> Table | None:
        """The declaration of a table of Cassandra."""
        declared = self.declaration.tables if self.declaration else ()
        return next((table for table in declared if table.place == place), None)


def _fillable(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if is_fillable(kind)}


def read_folder(path: Path) -> Folder:
    """Read a folder; what cannot be read is among its faults."""
    folder = Folder(path.name, path)
    if not PIPELINE_NAME.fullmatch(path.name):
        folder.faults.append(
            Fault(
                "",
                "",
                "a name has lower-case letters, digits and `_`, a letter first, and 40 characters"
                " at most; rename the folder",
            )
        )
    elif path.name in BUILT_IN:
        folder.faults.append(
            Fault("", "", "this is the name of a built-in pipeline; rename the folder")
        )
    if not path.is_dir():
        folder.faults.append(Fault("", "", f"there is no folder `{path}`"))
        return folder
    _read_contract(folder)
    _read_declaration(folder)
    folder.cql_text = _text(folder, CQL, _absent)
    folder.sql_text = _text(folder, SQL, lambda name: None)
    folder.cql = cql.shapes_of(folder.cql_text or "", f"{path.name}/{CQL}")
    folder.sql = sql.shapes_of(folder.sql_text or "", f"{path.name}/{SQL}")
    return folder


def _absent(name: str) -> Fault:
    return Fault(
        name,
        "",
        "there is no such file; `.venv/bin/millrace new NAME --from FILE` writes a folder with all"
        " of them",
    )


def _read_contract(folder: Folder) -> None:
    if not (folder.path / CONTRACT).exists():
        folder.faults.append(_absent(CONTRACT))
        return
    try:
        folder.contract = read_contract(folder.path / CONTRACT, folder.name)
    except ContractError as error:
        for fault in error.faults:
            place, _, text = fault.partition("`: ")
            is_placed = text and place.startswith("`") and "`" not in place[1:]
            where, text = (place[1:], text) if is_placed else ("", fault)
            folder.faults.append(Fault(CONTRACT, where, text))
        # Without any field, each column would be one more fault.
        folder.contract = error.partial if error.partial and error.partial.fields else None
        wrong = {fault.where for fault in folder.faults if fault.file == CONTRACT}
        folder.doubtful = {c for c, each in folder.fields.items() if each.name in wrong}


def _read_declaration(folder: Folder) -> None:
    if not (folder.path / DECLARATION).exists():
        folder.faults.append(_absent(DECLARATION))
        return
    try:
        folder.declaration = read_declaration(folder.path)
    except PipelineError as error:
        place = f"{folder.name}/{DECLARATION}"
        for line in str(error).splitlines():
            where, _, text = line.removeprefix(place).partition(": ")
            folder.faults.append(Fault(DECLARATION, where.removeprefix(", "), text))


def _text(folder: Folder, name: str, when_absent: Callable[[str], Fault | None]) -> str | None:
    try:
        return (folder.path / name).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fault = when_absent(name)
    except UnicodeDecodeError:
        fault = Fault(name, "", "it is not text in UTF-8; save it again in UTF-8")
    except OSError as error:
        fault = Fault(name, "", f"it cannot be read ({error.strerror}); check its access rights")
    if fault:
        folder.faults.append(fault)
    return None
