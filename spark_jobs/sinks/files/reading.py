"""Reads the files sink's output by Spark, for verification; deletes it for reset."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructType

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.file_system import STAGING, can_be_reached, output_files
from spark_jobs.sinks.files.compaction import notes_path
from spark_jobs.sinks.files.exchange import intent_path
from spark_jobs.sinks.files.formats import reader, with_lists
from spark_jobs.sinks.files.manifest import load_manifest, manifest_path, set_folder
from spark_jobs.targets import FileSet

# Compacted files have other names.
BATCH_IN_NAME = r"^[0-9a-f]{8}-(\d{10})-\d{3,}\."


def read_set(spark: SparkSession, settings: Settings, file_set: FileSet, form: str) -> DataFrame:
    """All rows of a set in one format.

    Columns out: the set's columns and `_batch_id` bigint.
    Grain: one row of the set.
    Nulls: `_batch_id` of rows in compacted files.
    """
    system = output_files(settings)
    folder = set_folder(settings, file_set.name, form)
    schema = file_set.schema
    if not system.files(folder):
        return spark.createDataFrame([], StructType([*schema]).add("_batch_id", LongType()))
    with_day = StructType([*schema]).add("day", StringType())
    rows = reader(spark.read, form, with_day if file_set.day else schema)
    name = F.regexp_extract(F.col("_metadata.file_name"), BATCH_IN_NAME, 1)
    batch_id = F.when(name != "", name.cast("bigint")).alias("_batch_id")
    found = rows.load(system.url(folder)).select(*schema.names, batch_id)
    return with_lists(found, schema) if form == "csv" else found


def applied_batch(settings: Settings, pipeline: Pipeline) -> int | None:
    """The last batch that the snapshots of a pipeline hold, None before the first."""
    manifest = load_manifest(output_files(settings), pipeline.family)
    ends = [ranges[-1][1] for ranges in manifest.applied.values() if ranges] if manifest else []
    return max(ends, default=None)


def has_files(settings: Settings, pipeline: Pipeline) -> bool:
    """Whether OUTPUT_PATH holds a pipeline's files; False where only Spark could see."""
    system = output_files(settings)
    return can_be_reached(system) and load_manifest(system, pipeline.family) is not None


def delete_sets(settings: Settings, pipeline: Pipeline) -> None:
    """Delete a pipeline's files, then its manifest and notes; on HDFS and S3 by Spark.

    The manifest goes last, so that an interrupted deletion can be run again.
    """
    system = output_files(settings)
    # First, because a job would complete the merge of files that are being deleted.
    system.delete(intent_path(pipeline.family))
    names = [each.name for each in pipeline.file_sets] + [s.name for s in pipeline.snapshots]
    for name in names:
        system.delete(name)
    system.delete(f"{STAGING}/{pipeline.family}")
    system.delete(notes_path(pipeline.family))
    system.delete(manifest_path(pipeline.family))
