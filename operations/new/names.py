"""The name of a new pipeline: its form, and that nothing else has it."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Final

from cql import declared as cql
from errors import PipelineError
from operations.new.words import KEYWORDS, unaccented
from runtime.config.pipeline_folders import BUILT_IN, PIPELINE_NAME, pipeline_folders
from settings import Settings
from spark_jobs.pipeline import CQL_FILE, Pipeline
from spark_jobs.registry import built_in, load_pipeline, written_by
from sql import declared as sql

# Keyspaces of Cassandra itself, and the name of the users' module.
SYSTEM: Final = ("system", "dse", "solr", "millrace", "support", "test")


def refuse_taken(settings: Settings, name: str) -> None:
    """Check a name before anything is read or written.

    Raises:
        PipelineError: It cannot be a name or is taken; all reasons.
    """
    if faults := [*_faults(settings, name)]:
        raise PipelineError("\n".join(faults))


def _faults(settings: Settings, name: str) -> Iterator[str]:
    if not PIPELINE_NAME.fullmatch(name):
        able = "_".join(unaccented(name).lower().replace("-", " ").split())[:40]
        meant = f" For example `{able}`." if PIPELINE_NAME.fullmatch(able) else ""
        yield (
            f"`{name}` cannot be the name of a pipeline: a name has lower-case letters, digits and"
            f" `_`, begins with a letter, and has 40 characters at most.{meant}"
        )
        return
    if name in BUILT_IN:
        yield f"`{name}` is a built-in pipeline. Take another name."
        return
    if name in KEYWORDS or keyword.iskeyword(name):
        yield (
            f"`{name}` is a word of CQL, SQL or Python, and the name becomes a keyspace and a"
            f" table. Take another, for example `{name}_records`."
        )
    folder = settings.pipelines_path / name
    if folder.exists() or folder.is_symlink():
        yield f"`{folder}` exists. Take another name, or remove that folder first."
    owners = {owner for owner, keyspace in _keyspaces(settings) if keyspace == name != owner}
    if owners:
        yield f"The keyspace `{name}` is of {', '.join(sorted(owners))}. Take another name."
    elif name.startswith("system") or name in SYSTEM:
        yield f"`{name}` is a name that the stores or Millrace have for themselves. Take another."
    if name in sql.declared():
        yield f"The PostgreSQL table `{name}` is Millrace's own. Take another name."


def _keyspaces(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield pipelines with the keyspaces that they create."""
    for pipeline in built_in():
        yield from ((pipeline.name, table.keyspace) for table in pipeline.tables)
    for name in pipeline_folders(settings.pipelines_path):
        path = settings.pipelines_path / name / CQL_FILE
        script = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        yield from ((name, keyspace) for keyspace in cql.keyspaces_of(script))


def refuse_shared(settings: Settings, new: Pipeline) -> None:
    """Check that a new pipeline writes to nothing that another reads or writes.

    Raises:
        PipelineError: It does; all that they share.
    """
    mine = {*written_by(new, settings)}
    faults: list[str] = []
    for other in _others(settings, new.name):
        for kind, shared in sorted(mine & {*written_by(other, settings)}):
            faults.append(f"The {kind} `{shared}` is {other.name}'s.")
    if faults:
        raise PipelineError("\n".join([*faults, "Take another name, or another topic."]))


def _others(settings: Settings, name: str) -> Iterator[Pipeline]:
    yield from built_in()
    for other in pipeline_folders(settings.pipelines_path):
        try:
            yield load_pipeline(settings.pipelines_path / other)
        except PipelineError:
            continue  # its own faults are for `millrace check`
