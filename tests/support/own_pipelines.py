"""Users' pipelines in tests: the examples, each in keyspace and topics of no other test."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from pymongo.database import Database

from runtime.config.pipeline_folders import DECLARATION
from runtime.config.sink_modules import SINK_MODULES
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import CQL_FILE, Pipeline
from spark_jobs.registry import load_pipeline
from spark_jobs.sinks.registry import sinks_of

EXAMPLES = PROJECT_ROOT / "examples"


def example(name: str) -> Pipeline:
    """The pipeline of a folder of `examples`."""
    return load_pipeline(EXAMPLES / name)


def own_copy(pipeline: Pipeline, place: Path, mark: str) -> Pipeline:
    """The pipeline from a copy of its folder, its keyspace and forward topics named by `mark`."""
    assert pipeline.folder is not None
    folder = place / pipeline.name
    shutil.copytree(pipeline.folder, folder)
    keyspaces = "|".join({table.keyspace for table in pipeline.tables})
    cql, declaration = folder / CQL_FILE, folder / DECLARATION
    created = re.sub(rf"\b(?:{keyspaces})(?=\.\w|\s+WITH)", mark, cql.read_text())
    cql.write_text(created)
    declared = re.sub(rf'"(?:{keyspaces})\.', f'"{mark}.', declaration.read_text())
    for topic in pipeline.topics:
        declared = declared.replace(f'"{topic.name}"', f'"{mark}-{topic.name}"')
    declaration.write_text(declared)
    return load_pipeline(folder)


def create_own_tables(pipeline: Pipeline, settings: Settings, database: Database[Any]) -> None:
    """Create what the pipeline needs in every store, as `make up` does."""
    everywhere = settings.model_copy(update={"sinks": tuple(SINK_MODULES)})
    for sink in sinks_of(pipeline, everywhere, database):
        sink.prepare()
