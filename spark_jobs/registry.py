"""Which pipelines there are: the built-in ones, and the folders under `PIPELINES_PATH`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from cql import declared as cql
from errors import ContractError, PipelineError
from runtime import remedies
from runtime.config.pipeline_folders import BUILT_IN, DECLARATION, pipeline_folders
from schemas.contract import read_contract
from schemas.fields import Contract
from settings import Settings
from spark_jobs.columns import is_fillable
from spark_jobs.declaration_parts import misplaced_parts
from spark_jobs.pipeline import CQL_FILE, SQL_FILE, Pipeline
from sql import declared as sql

CONTRACT: Final = "contract.schema.json"


def built_in(settings: Settings | None = None) -> tuple[Pipeline, ...]:
    """The pipelines that come with the platform: as declared, or as settings complete them."""
    found = (getattr(import_module(f"spark_jobs.{n}"), n.upper()) for n in BUILT_IN)
    return tuple(each.divided(settings) if settings else each for each in found)


def pipelines_of(settings: Settings) -> tuple[Pipeline, ...]:
    """The enabled pipelines: built-in ones, then a user's by name.

    Raises:
        PipelineError: lists all faults of all enabled declarations, and unknown names.
    """
    known = (*BUILT_IN, *pipeline_folders(settings.pipelines_path))
    faults = [
        f"PIPELINES: there is no pipeline `{name}`.{remedies.nearest(name, known)}"
        for name in settings.pipelines
        if name not in known
    ]
    found: list[Pipeline] = []
    for name in known:
        if settings.pipelines and name not in settings.pipelines:
            continue
        try:
            found.append(_pipeline(name, settings))
        except PipelineError as error:
            faults.append(str(error))
    faults += _shared(found, settings)
    if faults:
        raise PipelineError("\n".join(faults))
    return tuple(found)


def pipeline_named(name: str, settings: Settings) -> Pipeline:
    """The pipeline with this name, enabled or not.

    Raises:
        PipelineError: there is none, and which there are; or its declaration has faults.
    """
    known = (*BUILT_IN, *pipeline_folders(settings.pipelines_path))
    if name not in known:
        raise PipelineError(
            f"There is no pipeline `{name}`.{remedies.nearest(name, known)} Valid:"
            f" {', '.join(known)}. Your own are in `{settings.pipelines_path}`"
            " (PIPELINES_PATH)."
        )
    return _pipeline(name, settings)


def chosen_pipelines(name: str | None, settings: Settings) -> list[Pipeline]:
    """The one that is named, or all that are enabled."""
    return [pipeline_named(name, settings)] if name else [*pipelines_of(settings)]


def _pipeline(name: str, settings: Settings) -> Pipeline:
    if name in BUILT_IN:
        return next(each for each in built_in(settings) if each.name == name)
    return load_pipeline(settings.pipelines_path / name)


def load_pipeline(folder: Path) -> Pipeline:
    """A user's pipeline, from its folder.

    Raises:
        PipelineError: the folder, contract or declaration has faults; lists them all.
    """
    faults: list[str] = []
    contract, declared = None, None
    try:
        contract = read_contract(folder / CONTRACT, folder.name)
    except ContractError as error:
        faults.append(str(error))
    try:
        declared = read_declaration(folder)
    except PipelineError as error:
        faults.append(str(error))
    if contract is not None and declared is not None:
        try:
            return _completed(declared, contract, folder)
        except PipelineError as error:
            faults.append(str(error))
    raise PipelineError("\n".join(faults))


def read_declaration(folder: Path) -> Pipeline:
    """The object `PIPELINE` of a folder's module, as it stands.

    Raises:
        PipelineError: the file is missing, cannot be run, or has no such object; or parts of it
            have the wrong type, a line for each.
    """
    path, place = folder / DECLARATION, f"{folder.name}/{DECLARATION}"
    if not path.is_file():
        raise PipelineError(f"{place}: there is no such file in `{folder.parent}`.")
    try:
        declared = getattr(_module(path), "PIPELINE", None)
    except (Exception, SystemExit) as error:
        line = _line_of(error, path)
        text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise PipelineError(f"{place}{line}: {what}. Correct the file.") from error
    if not isinstance(declared, Pipeline):
        raise PipelineError(
            f"{place}: it defines no `PIPELINE = Pipeline(…)`. docs/your-own-pipeline.md has an"
            " example."
        )
    if misplaced := misplaced_parts(declared):
        raise PipelineError("\n".join(f"{place}, {where}: {text}." for where, text in misplaced))
    return declared


def _module(path: Path) -> ModuleType:
    source = path.read_bytes()
    module = ModuleType(f"millrace_pipelines.{path.parent.name}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    # Not by an import, which would leave compiled files in the user's folder.
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - the user's own code
    return module


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def _completed(declared: Pipeline, contract: Contract, folder: Path) -> Pipeline:
    """The declaration with its contract and the columns of its tables.

    Raises:
        PipelineError: it names a table that the folder's CQL or SQL does not create, or one with a
            column of a type that no record has.
    """
    cql_shapes = cql.shapes_of(_text(folder / CQL_FILE), f"{folder.name}/{CQL_FILE}")
    sql_shapes = sql.shapes_of(_text(folder / SQL_FILE), f"{folder.name}/{SQL_FILE}")
    faults = [
        f"{folder.name}/{DECLARATION}: there is no table `{name}` in {folder.name}/{file}."
        f"{remedies.nearest(name, shapes)}"
        for names, shapes, file in (
            ([table.place for table in declared.tables], cql_shapes, CQL_FILE),
            ([table.name for table in declared.sql_tables], sql_shapes, SQL_FILE),
        )
        for name in names
        if name not in shapes
    ]
    columns = {name: shape.columns for name, shape in cql_shapes.items()}
    columns |= {name: shape.columns for name, shape in sql_shapes.items()}
    faults += [
        f"{folder.name}: column `{column}` of `{table}` has the type {kind}, which no record can"
        " fill; take another."
        for table, of_table in columns.items()
        for column, kind in of_table.items()
        if not is_fillable(kind)
    ]
    if faults:
        raise PipelineError("\n".join(faults))
    return replace(
        declared,
        name=folder.name,
        contract=contract,
        folder=folder,
        tables=tuple(replace(t, shape=cql_shapes[t.place]) for t in declared.tables),
        sql_tables=tuple(replace(t, shape=sql_shapes[t.name]) for t in declared.sql_tables),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{path.parent.name}/{path.name}: cannot be read ({type(error).__name__})."
        ) from error


def _shared(pipelines: list[Pipeline], settings: Settings) -> Iterator[str]:
    """What two pipelines would both write to."""
    owners: dict[tuple[str, str], str] = {}
    for pipeline in pipelines:
        for what in written_by(pipeline, settings):
            owner = owners.setdefault(what, pipeline.name)
            if owner != pipeline.name:
                kind, name = what
                yield f"{pipeline.name}: its {kind} `{name}` is {owner}'s; take another name."


def written_by(pipeline: Pipeline, settings: Settings) -> Iterator[tuple[str, str]]:
    """Kind and name of what a pipeline alone may read and write."""
    yield "topic", pipeline.topic(settings)
    yield from (("topic", name) for name in pipeline.forward_topics(settings))
    yield from (("table", table.place) for table in pipeline.tables)
    yield from (("PostgreSQL table", table.name) for table in pipeline.sql_tables)
    yield from (("file set", each.name) for each in pipeline.file_sets)
    yield from (("file set", each.name) for each in pipeline.snapshots)
    yield from (("collection", name) for name in pipeline.collections)
