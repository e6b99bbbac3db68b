"""Reads files on this machine and on S3 by Arrow, without Spark; on HDFS Spark reads the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import LongType, StringType, StructType

from errors import SinkRejected
from settings import OUTPUT_FORMATS, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.file_system import ReadableFiles, StoredFile, can_be_reached, output_files
from spark_jobs.sinks.files.arrow_files import arrow_files
from spark_jobs.sinks.files.formats import ARROW_FORMATS, as_stored, reader, with_lists
from spark_jobs.sinks.files.manifest import load_manifest, set_folder, snapshot_path
from spark_jobs.targets import FileSet, Snapshot

COUNT_ATTEMPTS = 3
Record = dict[str, Any]


def _readable(settings: Settings) -> ReadableFiles | None:
    """Files of OUTPUT_PATH, by Spark or Arrow; None on HDFS while Spark does not run."""
    hadoop = output_files(settings)
    return hadoop if can_be_reached(hadoop) else arrow_files(settings)


def as_written(settings: Settings, pipeline: Pipeline) -> Settings:
    """Settings with the formats in which a pipeline's files were written.

    OUTPUT_FORMAT stays if there are no files, or if only Spark could read them and it is not
    running.
    """
    place = _readable(settings)
    if place is None:
        return settings
    manifest = load_manifest(place, pipeline.family)
    formats = manifest.formats if manifest else tuple(_found_formats(place, pipeline))
    return settings.model_copy(update={"output_format": formats or settings.output_format})


def _found_formats(place: ReadableFiles, pipeline: Pipeline) -> Iterator[str]:
    """The formats that file names show, for files whose manifest is gone."""
    paths = [file.path for each in pipeline.file_sets for file in place.files(each.name)]
    for form in OUTPUT_FORMATS:
        if any(path.endswith(f".{form}") for path in paths):
            yield form


def has_manifest(settings: Settings, pipeline: Pipeline) -> bool:
    """Whether OUTPUT_PATH remembers what the pipeline wrote there."""
    place = _readable(settings)
    return place is not None and load_manifest(place, pipeline.family) is not None


def other_formats(settings: Settings, pipeline: Pipeline) -> str | None:
    """Describes files in formats other than OUTPUT_FORMAT; None if there are none."""
    formats = as_written(settings, pipeline).output_format
    if {*formats} == {*settings.output_format}:
        return None
    return (
        f"files of {pipeline.family} in `{settings.output_path}` are {','.join(formats)},"
        f" OUTPUT_FORMAT is {','.join(settings.output_format)}"
    )


def count_set(settings: Settings, file_set: FileSet, form: str) -> int | None:
    """Number of a set's rows, without Spark; None if counting would fetch the whole set."""
    system = arrow_files(settings) if output_files(settings).is_local else None
    if system is None:
        return None
    folder = set_folder(settings, file_set.name, form)

    def count() -> int:
        paths = [f"{folder}/{path}" for path in _visible(system.files(folder), form)]
        return int(system.rows(paths, form, file_set.schema).count_rows()) if paths else 0

    for _ in range(COUNT_ATTEMPTS - 1):
        # A job may merge files between listing and counting.
        with suppress(FileNotFoundError):
            return count()
    return count()


def _visible(files: list[StoredFile], form: str) -> list[str]:
    """Paths of a set's files in a format."""
    return [file.path for file in files if file.path.endswith(f".{form}")]


def snapshot_schema(snapshot: Snapshot) -> StructType:
    """A snapshot's columns: the text by which it is grouped, and integers."""
    schema = StructType()
    for column in snapshot.columns:
        schema.add(column, StringType() if column == snapshot.by else LongType())
    return schema


def snapshot_rows(settings: Settings, snapshot: Snapshot, form: str) -> list[Record]:
    """The rows of a snapshot in one format; none before its first batch.

    Raises:
        SinkRejected: its file is damaged.
    """
    place = _readable(settings) or output_files(settings)
    content = place.read(snapshot_path(settings, snapshot, form))
    if content is None:
        return []
    # In Arrow's own memory: its threads may release it while Python shuts down, and releasing a
    # Python object then would abort the process.
    memory = pa.BufferOutputStream()
    memory.write(content)
    schema = to_arrow_schema(snapshot_schema(snapshot))
    with _readable_rows(settings, snapshot_path(settings, snapshot, form)):
        fragment = ARROW_FORMATS[form].make_fragment(pa.BufferReader(memory.getvalue()))
        rows: list[Record] = fragment.to_table(schema=schema).to_pylist()
    return rows


@contextmanager
def _readable_rows(settings: Settings, name: str) -> Iterator[None]:
    """Explain Arrow's errors without its messages, which quote values."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise SinkRejected(
            f"Files: `{name}` in `{settings.output_path}` cannot be read"
            f" ({type(error).__name__}): a file is damaged or its permissions forbid reading."
            " Restore it."
        ) from error


def show_set(
    settings: Settings,
    name: str,
    limit: int,
    pipelines: tuple[Pipeline, ...],
    spark: SparkSession | None = None,
) -> list[Record]:
    """The first rows of a set or snapshot; a set's newest files come first.

    In the formats of the files, whatever settings say. Files on HDFS need `spark`.

    Raises:
        SinkRejected: there is no such set, or one of its files cannot be read.
    """
    for pipeline in pipelines:
        for snapshot in (each for each in pipeline.snapshots if each.name == name):
            found = as_written(settings, pipeline)
            return snapshot_rows(found, snapshot, found.output_format[0])[:limit]
        for file_set in (each for each in pipeline.file_sets if each.name == name):
            found = as_written(settings, pipeline)
            return _first_rows(found, file_set, found.output_format[0], limit, spark)
    raise SinkRejected(f"There is no set of files `{name}`.")


def _first_rows(
    settings: Settings, file_set: FileSet, form: str, limit: int, spark: SparkSession | None
) -> list[Record]:
    folder = set_folder(settings, file_set.name, form)
    arrow = arrow_files(settings)
    system = arrow or output_files(settings)
    rows: list[Record] = []
    # Sorted by day, then batch: the last files are the newest.
    for name in reversed(_visible(system.files(folder), form)):
        if len(rows) >= limit:
            break
        path, missing = f"{folder}/{name}", limit - len(rows)
        if arrow:
            with _readable_rows(settings, file_set.name):
                found = arrow.rows([path], form, file_set.schema).head(missing)
                rows += as_stored(found, file_set.schema, form).to_pylist()
        elif spark:
            read = reader(spark.read, form, file_set.schema).load(system.url(path))
            listed = with_lists(read, file_set.schema) if form == "csv" else read
            rows += [row.asDict() for row in listed.limit(missing).collect()]
    return rows
