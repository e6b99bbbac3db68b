"""Reads what the files sink has written: for verification, for people, for `make reset`."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructType

from settings import Settings, SinkRejected
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.file_compaction import notes_path
from spark_jobs.sinks.file_exchange import intent_path
from spark_jobs.sinks.file_formats import reader, unflattened
from spark_jobs.sinks.file_manifest import Snapshot, load_manifest, manifest_path
from spark_jobs.sinks.file_system import STAGING, can_be_reached, output_files
from spark_jobs.sinks.files import FileSet, set_folder, snapshot_path

# Values of CSV may hold line feeds.
CSV = ds.CsvFileFormat(parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True))
ARROW_FORMATS = {"parquet": "parquet", "json": "json", "csv": CSV}
COUNT_ATTEMPTS = 3
# Compacted files have other names.
BATCH_IN_NAME = r"^[0-9a-f]{8}-(\d{10})-\d{3,}\."


def read_set(spark: SparkSession, settings: Settings, file_set: FileSet, form: str) -> DataFrame:
    """All rows of a set as one format has them.

    Columns out: the set's columns and `batch_id` bigint.
    Grain: one row of the set.
    Nulls: `batch_id` of rows in compacted files.
    """
    system = output_files(settings)
    folder = set_folder(settings, file_set.name, form)
    schema = file_set.schema
    if not system.files(folder):
        return spark.createDataFrame([], StructType([*schema]).add("batch_id", LongType()))
    with_day = StructType([*schema]).add("day", StringType())
    rows = reader(spark.read, form, with_day if file_set.day_column else schema)
    name = F.regexp_extract(F.col("_metadata.file_name"), BATCH_IN_NAME, 1)
    batch_id = F.when(name != "", name.cast("bigint")).alias("batch_id")
    found = rows.load(system.url(folder)).select(*schema.names, batch_id)
    return unflattened(found, schema) if form == "csv" else found


def read_snapshot(
    spark: SparkSession, settings: Settings, snapshot: Snapshot, form: str
) -> DataFrame:
    """The rows of a snapshot as one format has them; none before its first batch."""
    schema = StructType()
    for column in snapshot.columns:
        schema.add(column, StringType() if column == snapshot.by else LongType())
    rows = snapshot_rows(settings, snapshot, form)
    return spark.createDataFrame([tuple(row[c] for c in snapshot.columns) for row in rows], schema)


def snapshot_rows(settings: Settings, snapshot: Snapshot, form: str) -> list[dict[str, Any]]:
    """The same without Spark."""
    content = output_files(settings).read(snapshot_path(settings, snapshot, form))
    if content is None:
        return []
    if form == "parquet":
        # In Arrow's own memory: its threads may let go of it when Python is about to end, and over
        # an object of Python's they would abort the process.
        memory = pa.BufferOutputStream()
        memory.write(content)
        rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(memory.getvalue())).to_pylist()
        return rows
    if form == "json":
        return [json.loads(line) for line in content.decode().splitlines()]
    read = csv.DictReader(io.StringIO(content.decode()))
    return [{k: v if k == snapshot.by else int(v) for k, v in row.items()} for row in read]


def applied_batch(spark: SparkSession, settings: Settings, pipeline: Pipeline) -> int | None:
    """The last batch that the snapshots of a pipeline hold, None before the first."""
    manifest = load_manifest(output_files(settings), pipeline.family)
    ends = [ranges[-1][1] for ranges in manifest.applied.values() if ranges] if manifest else []
    return max(ends, default=None)


def has_files(settings: Settings, pipeline: Pipeline) -> bool:
    """Whether a place on this machine holds a pipeline's files; of others Spark has to tell."""
    system = output_files(settings)
    return can_be_reached(system) and load_manifest(system, pipeline.family) is not None


def delete_sets(settings: Settings, pipeline: Pipeline) -> None:
    """Delete all files of a pipeline and what is remembered of them; on HDFS and S3 by Spark.

    The memory goes last, so that an interrupted deletion can be run again.
    """
    system = output_files(settings)
    # First, as it promises to complete a merge whose files go now.
    system.delete(intent_path(pipeline.family))
    names = [each.name for each in pipeline.file_sets] + [s.name for s in pipeline.snapshots]
    for name in names:
        system.delete(name)
    system.delete(f"{STAGING}/{pipeline.family}")
    system.delete(notes_path(pipeline.family))
    system.delete(manifest_path(pipeline.family))


def count_set(settings: Settings, file_set: FileSet, form: str) -> int | None:
    """How many rows a set has, without Spark; None where only Spark reaches it."""
    system = output_files(settings)
    if not system.is_local:
        return None
    folder = set_folder(settings, file_set.name, form)

    def count() -> int:
        paths = [f"{settings.output_path}/{folder}/{file.path}" for file in system.files(folder)]
        return int(ds.dataset(paths, format=ARROW_FORMATS[form]).count_rows()) if paths else 0

    for _ in range(COUNT_ATTEMPTS - 1):
        # A job may merge files between the two looks.
        with suppress(FileNotFoundError):
            return count()
    return count()


def show_set(
    settings: Settings, name: str, limit: int, pipelines: tuple[Pipeline, ...]
) -> list[dict[str, Any]]:
    """The first rows of a set, or a snapshot's; of a set the newest files first.

    Of a place on this machine it is read without Spark, and in the formats that are there, whatever
    settings say.

    Raises:
        SinkRejected: there is no such set, or it is elsewhere.
    """
    for pipeline in pipelines:
        for snapshot in (each for each in pipeline.snapshots if each.name == name):
            found = _as_written(settings, pipeline)
            return snapshot_rows(found, snapshot, found.output_format[0])[:limit]
        for file_set in (each for each in pipeline.file_sets if each.name == name):
            found = _as_written(settings, pipeline)
            return _first_rows(found, file_set, found.output_format[0], limit)
    raise SinkRejected(f"There is no set of files `{name}`.")


def _as_written(settings: Settings, pipeline: Pipeline) -> Settings:
    """Settings with the formats in which a pipeline's files were written."""
    system = output_files(settings)
    manifest = load_manifest(system, pipeline.family) if can_be_reached(system) else None
    formats = manifest.formats if manifest else settings.output_format
    return settings.model_copy(update={"output_format": formats})


def _first_rows(
    settings: Settings, file_set: FileSet, form: str, limit: int
) -> list[dict[str, Any]]:
    system = output_files(settings)
    folder = set_folder(settings, file_set.name, form)
    if not system.is_local:
        from spark_jobs.session import build_session

        spark = build_session(settings, "show")
        found = read_set(spark, settings, file_set, form).drop("batch_id").limit(limit).collect()
        return [row.asDict() for row in found]
    names = [file.path for file in system.files(folder)]
    rows: list[dict[str, Any]] = []
    # Days ascend, and in them batches: the last files are the newest.
    for name in reversed(names):
        if len(rows) >= limit:
            break
        path = f"{settings.output_path}/{folder}/{name}"
        table = ds.dataset(path, format=ARROW_FORMATS[form]).head(limit - len(rows))
        rows += table.to_pylist()
    return rows
