"""One text, one value: what a pipeline's sets are given comes back from every format and reader."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from operations.repair.compact import days_to_merge, merge
from settings import OUTPUT_FORMATS, Settings
from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in
from spark_jobs.session.file_system import output_files
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.files.formats import small_file
from spark_jobs.sinks.files.manifest import snapshot_path
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.sinks.files.rows import count_set, show_set, snapshot_rows
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.targets import FileSet, Snapshot
from tests.support.texts import HARD_TEXTS, random_texts

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
AT = datetime(2026, 11, 22, 10, 11, 12, 345000, tzinfo=UTC)
SETS = [(pipeline, file_set) for pipeline in built_in() for file_set in pipeline.file_sets]
Row = tuple[Any, ...]
# Another one each time; a failure says it.
SEED = random.randrange(2**32)


def rows_of(schema: T.StructType) -> list[Row]:
    """Each text once in every column at once, and once in each column between others."""
    texts: list[str | None] = [None, *HARD_TEXTS, *random_texts(300, SEED)]
    rows = [tuple(_value(field, text, n) for field in schema) for n, text in enumerate(texts)]
    for place in range(len(schema)):
        for n, text in enumerate([None, *HARD_TEXTS[:60], *random_texts(20, SEED + place)]):
            others = [_value(field, "x", n) for field in schema]
            others[place] = _value(schema[place], text, n)
            rows.append(tuple(others))
    return rows


def _value(field: T.StructField, text: str | None, number: int) -> Any:
    match field.dataType:
        case T.StringType():
            return text
        case T.ArrayType():
            # Of codes, as `reasons` is: none has a comma.
            return {None: None, "": []}.get(text, ["missing_x", "invalid_y"][: 1 + number % 2])
        case T.TimestampType():
            return AT
        case T.LongType():
            return 2**62 + number
        case _:
            return number


def filled(
    spark: SparkSession, path: Path, pipeline: Pipeline, file_set: FileSet, rows: list[Row]
) -> Settings:
    """Settings of a place where two batches of rows are in all formats."""
    settings = Settings(output_path=str(path), output_format=OUTPUT_FORMATS)
    # As they are: which rows belong into a set is another question.
    whole = replace(file_set, outcome=None, where=None)
    sink = FilesSink(settings, replace(pipeline, file_sets=(whole,), snapshots=()))
    for batch_id, part in enumerate([rows[::2], rows[1::2]]):
        records = spark.createDataFrame(part, file_set.schema)
        summary = BatchSummary(Counter(valid=len(part)), Counter())
        sink.write_batch(Batch(records, summary, QUERY), batch_id)
    return settings


def plain(row: Any) -> Row:
    """A row as a tuple that can be counted, times in UTC."""
    values = row.values() if isinstance(row, dict) else row
    return tuple(
        value.astimezone(UTC)
        if isinstance(value, datetime)
        else tuple(value)
        if isinstance(value, list)
        else value
        for value in values
    )


def same(found: Any, expected: Any) -> None:
    """Compare without printing megabytes."""
    missing = Counter(map(plain, expected)) - Counter(map(plain, found))
    extra = Counter(map(plain, found)) - Counter(map(plain, expected))
    unlike = [[repr(row)[:300] for row in [*rows][:3]] for rows in (missing, extra)]
    assert unlike == [[], []], f"of the texts of seed {SEED}"


def first_format(settings: Settings, pipeline: Pipeline, form: str) -> None:
    """Have the manifest name a format first, which is the one that is shown."""
    manifest = Path(settings.output_path) / "_millrace" / f"{pipeline.family}.json"
    formats = sorted(OUTPUT_FORMATS, key=lambda each: each != form)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"formats": formats}))


@pytest.mark.parametrize(("pipeline", "file_set"), SETS, ids=[each.name for _, each in SETS])
def test_every_reader_gets_every_text_as_it_was_given_before_files_are_merged_and_after(
    spark: SparkSession, tmp_path: Path, pipeline: Pipeline, file_set: FileSet
) -> None:
    rows = rows_of(file_set.schema)
    settings = filled(spark, tmp_path, pipeline, file_set, rows)
    system, batches = output_files(settings), {(QUERY[:8], n): QUERY for n in (0, 1)}

    for merged in (False, True):
        for form in OUTPUT_FORMATS:
            if merged:
                (day,) = days_to_merge(system, settings, file_set, form, {*batches})
                merge(spark, system, pipeline.family, day, batches)
            read = read_set(spark, settings, file_set, form)
            same(read.drop("_batch_id").collect(), rows)
            first_format(settings, pipeline, form)
            same(show_set(settings, file_set.name, 10_000, (pipeline,)), rows)
            assert read.count() == count_set(settings, file_set, form) == len(rows)


@pytest.mark.parametrize(("pipeline", "file_set"), SETS, ids=[each.name for _, each in SETS])
def test_other_readers_get_the_same_texts_from_csv_and_json(
    spark: SparkSession, tmp_path: Path, pipeline: Pipeline, file_set: FileSet
) -> None:
    texts = [field.name for field in file_set.schema if field.dataType == T.StringType()]
    rows = rows_of(file_set.schema)
    filled(spark, tmp_path, pipeline, file_set, rows)
    places = [file_set.schema.names.index(name) for name in texts]
    expected = [tuple(row[place] for place in places) for row in rows]
    folder = tmp_path / file_set.name

    of_json: list[Row] = []
    for path in folder.rglob("*.json"):
        lines = path.read_bytes().decode().split("\n")
        assert lines.pop() == ""
        of_json += [tuple(json.loads(line)[name] for name in texts) for line in lines]
    same(of_json, expected)

    options = "header = true, quote = '\"', escape = '\"', all_varchar = true, new_line = '\\n'"
    options += ", allow_quoted_nulls = false, max_line_size = 10_000_000"
    source = f"read_csv('{folder}/csv/**/*.csv', {options})"
    same(duckdb.sql(f"SELECT {', '.join(texts)} FROM {source}").fetchall(), expected)

    csv.field_size_limit(10_000_000)
    of_csv: list[Row] = []
    for path in folder.rglob("*.csv"):
        with path.open(newline="") as file:
            of_csv += [tuple(row[name] for name in texts) for row in csv.DictReader(file)]
    # Python's reader knows no null.
    same(of_csv, [tuple(text or "" for text in row) for row in expected])


@pytest.mark.parametrize("form", OUTPUT_FORMATS)
def test_snapshot_gives_every_text_of_its_groups_back(tmp_path: Path, form: str) -> None:
    snapshot = Snapshot("by_text", Aggregate("by_text", ("text",)), ("text", "count"), "text")
    settings = Settings(output_path=str(tmp_path), output_format=(form,))
    texts = [None, *dict.fromkeys([*HARD_TEXTS, *random_texts(300, SEED)])]
    rows = [{"text": text, "count": number} for number, text in enumerate(texts)]
    path = tmp_path / snapshot_path(settings, snapshot, form)
    path.parent.mkdir()
    path.write_bytes(small_file(snapshot.columns, rows, form))

    assert snapshot_rows(settings, snapshot, form) == rows
