"""Reads the files sink's output by Spark, for verification; deletes it for reset."""

from __future__ import annotations

from collections.abc import Sequence

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
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
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.targets import FileSet

# Compacted files have other names.
BATCH_IN_NAME = r"^[0-9a-f]{8}-(\d{10})-\d{3,}\."
NO_DAY = "none"
# The folder of rows whose day is null.
UNKNOWN_DAY = "unknown"
# The columns of a row's file and folder.
FILE, FOLDER = "_file", "_folder"
MOST_DAMAGED = 20


def read_set(spark: SparkSession, settings: Settings, file_set: FileSet, form: str) -> DataFrame:
    """All rows of a set in one format.

    Columns out: the set's columns and `_batch_id` bigint.
    Grain: one row of the set.
    Nulls: `_batch_id` of rows in compacted files.
    """
    return read_placed(spark, settings, file_set, form).drop(FILE, FOLDER)


def read_placed(
    spark: SparkSession,
    settings: Settings,
    file_set: FileSet,
    form: str,
    skipped: Sequence[str] = (),
) -> DataFrame:
    """All rows of a set in one format, without those of the files that are to be skipped.

    Columns out: the set's columns, `_batch_id` bigint, `_file` string (its path below the set's
        folder, as in an address), `_folder` string (the folder of the day).
    Grain: one row of the set.
    Nulls: `_batch_id` of rows in compacted files.
    """
    system = output_files(settings)
    folder = set_folder(settings, file_set.name, form)
    schema = file_set.schema
    if not system.files(folder):
        own = StructType([*schema]).add("_batch_id", LongType())
        return local_rows(spark, [], own.add(FILE, StringType()).add(FOLDER, StringType()))
    # Not as partitions: any other folder or file in the set would end the reading.
    options = {"recursiveFileLookup": "true", "pathGlobFilter": f"*.{form}"}
    rows = reader(spark.read, form, schema).options(**options).load(system.url(folder))
    name = F.regexp_extract(F.col("_metadata.file_name"), BATCH_IN_NAME, 1)
    file = F.substring_index("_metadata.file_path", f"/{folder}/", -1)
    found = rows.select(
        *schema.names,
        F.when(name != "", name.cast("bigint")).alias("_batch_id"),
        file.alias(FILE),
        F.regexp_extract(file, "^(?:(.*)/)?", 1).alias(FOLDER),
    )
    if skipped:
        found = found.filter(~F.concat(F.lit(f"{folder}/"), FILE).isin([*skipped]))
    return with_lists(found, schema) if form == "csv" else found


def folder_sql(file_set: FileSet) -> str:
    """SQL that gives a record's folder within the set."""
    if not file_set.day:
        return "''"
    # No date has more than four digits of its year.
    return f"concat('day=', coalesce(string(date({file_set.day})), '{UNKNOWN_DAY}'))"


def damaged_files(
    spark: SparkSession, settings: Settings, file_set: FileSet, form: str
) -> list[str]:
    """The files of a set that cannot be read, at most `MOST_DAMAGED`; found by halving."""
    system = output_files(settings)
    folder = set_folder(settings, file_set.name, form)
    found: list[str] = []

    def search(paths: list[str]) -> None:
        if not paths or len(found) >= MOST_DAMAGED or can_be_read(paths):
            return
        if len(paths) == 1:
            found.extend(paths)
            return
        half = len(paths) // 2
        search(paths[:half])
        search(paths[half:])

    def can_be_read(paths: list[str]) -> bool:
        read = reader(spark.read, form, file_set.schema).option("recursiveFileLookup", "true")
        rows = read.load([system.url(path) for path in paths])
        try:
            rows.select(*file_set.schema.names).write.format("noop").mode("overwrite").save()
        except (Py4JError, PySparkException):
            return False
        return True

    search([f"{folder}/{file.path}" for file in system.files(folder) if _is_read(file.path, form)])
    return found


def _is_read(path: str, form: str) -> bool:
    return path.endswith(f".{form}") and not any(n.startswith((".", "_")) for n in path.split("/"))


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
