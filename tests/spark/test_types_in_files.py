"""Every type of a contract in files of every format, as a user's pipeline writes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from errors import SinkRejected
from operations.check.check import folder_faults
from operations.check.fault import DECLARATION
from operations.check.folder import read_folder
from schemas.spark import MESSAGE_SCHEMA
from schemas.types import TYPES
from settings import OUTPUT_FORMATS, Settings
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import load_pipeline
from spark_jobs.sinks.base import Batch
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.sinks.files.rows import count_set, show_set
from spark_jobs.sinks.files.sink import FilesSink
from tests.support.builders import messages
from tests.support.every_type import EXPECTED, MESSAGES, NAME, plain, write_pipeline

QUERY = "5f1d7c2e-0000-4000-8000-000000000001"
KEY = "a key for tests only"
# The line of `low`, whose day is the only one in its file.
LOW_IN_CSV = (
    "low,-9223372036854775808,-9999999999.99,1900-01-01T00:00:00.000Z,1900-01-01,"
    r'"[""NULL"",""null"",""\\N"",""[]"",""{}""]",null,A,1,-1.7976931348623157E308,false,'
    "-99999999999999999999999999999999999999,-99999999999999999999.999999999999999999,-1E-38,"
    "1900-01-01T00:00:00.001Z,1970-01-01T00:00:00.000Z,1970-01-01T00:00:00.000Z,"
    "1970-01-01T00:00:00.000Z,1900-02-28,00000000-0000-0000-0000-000000000000,a@b,"
    '"[-9223372036854775808,-1,0]","[4.9E-324,-0.0,-1.0E300]","[false,true]",'
    '"[-9999999999.99,0.10]",[-1E-30],"[""1900-01-01T00:00:00.000Z""]",'
    '"[""1970-01-01T00:00:00.000Z"",""1970-01-01T00:00:00.001Z""]",'
    '"[""1900-01-01"",""1970-01-01""]","[""00000000-0000-0000-0000-000000000000""]",'
    '"[""a@b"",""c@d""]","",-3333333333.3300,1900'
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return load_pipeline(write_pipeline(tmp_path_factory.mktemp("pipelines")))


@pytest.fixture(scope="module")
def records(spark: SparkSession, pipeline: Pipeline) -> Iterator[DataFrame]:
    """The classified messages; as in the job, Spark plans them once."""
    read = spark.createDataFrame(messages([*MESSAGES.values()]), MESSAGE_SCHEMA)
    classified = pipeline.classify(read, Settings(pii_hash_key=KEY)).cache()
    assert classified.select("outcome").distinct().collect() == [("valid",)]
    yield classified
    classified.unpersist()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(output_path=str(tmp_path / "output"), output_format=OUTPUT_FORMATS)


@pytest.fixture
def filled(records: DataFrame, pipeline: Pipeline, settings: Settings) -> Callable[..., None]:
    """Writes the messages of these names."""

    def fill(*names: str) -> None:
        summary = BatchSummary(Counter(valid=len(names)), Counter())
        batch = Batch(records.filter(F.col("name").isin(*names)), summary, QUERY)
        FilesSink(settings, pipeline).write_batch(batch, 0)

    return fill


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        row["name"]: {column: plain(row[column]) for column in EXPECTED[row["name"]]}
        for row in rows
    }


def test_folder_with_every_type_has_no_fault(pipeline: Pipeline, settings: Settings) -> None:
    assert pipeline.folder is not None
    folder = read_folder(pipeline.folder)

    faults = [*folder_faults(folder, [folder], settings)]
    assert [str(fault) for fault in faults if not fault.is_note] == []
    (note,) = [fault for fault in faults if fault.file == DECLARATION]
    assert note.where == 'aggregates["all_of_it"].measures["smallest"]'
    assert "a number in MongoDB has at most 34 digits" in note.text
    fields = pipeline.contract.fields
    assert {field.kind for field in fields} == {*TYPES}
    assert {field.kind for field in fields if field.items} == {*TYPES}


@pytest.mark.parametrize("form", OUTPUT_FORMATS)
def test_every_value_is_read_as_it_was_stored(
    spark: SparkSession,
    pipeline: Pipeline,
    settings: Settings,
    filled: Callable[..., None],
    form: str,
) -> None:
    filled(*MESSAGES)
    expected = {
        name: {column: plain(value) for column, value in row.items()}
        for name, row in EXPECTED.items()
    }
    (file_set,) = pipeline.file_sets

    read = read_set(spark, settings, file_set, form)
    assert by_name([row.asDict() for row in read.collect()]) == expected
    assert count_set(settings, file_set, form) == len(MESSAGES)
    only = settings.model_copy(update={"output_format": (form,)})
    set_formats(only, form)
    assert by_name(show_set(only, NAME, 10, (pipeline,))) == expected


def set_formats(settings: Settings, form: str) -> None:
    """Have the manifest name a format first, which is the one that is shown."""
    manifest = Path(settings.output_path) / "_millrace" / f"{NAME}.json"
    formats = sorted(OUTPUT_FORMATS, key=lambda each: each != form)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"formats": formats}))


def test_text_in_csv_and_json_is_as_the_page_says(
    settings: Settings, pipeline: Pipeline, filled: Callable[..., None]
) -> None:
    filled("low")
    output = Path(settings.output_path)

    (of_csv,) = (output / NAME).rglob("*.csv")
    header, line = of_csv.read_text(encoding="utf-8").splitlines()
    columns = header.split(",")
    hidden = {"secret", "hash_key_id"}
    assert [name for name in columns if name not in hidden] == [*EXPECTED["low"]]
    digests = line.split("a@b,", 1)[1].split(",")[:2]
    assert [len(digest) for digest in digests] == [64, 8]
    assert line.replace(f"{','.join(digests)},", "", 1) == LOW_IN_CSV

    (of_json,) = (output / NAME).rglob("*.json")
    text = of_json.read_text(encoding="utf-8")
    assert '"price":-9999999999.99,' in text
    assert '"exact":-99999999999999999999.999999999999999999,"tiny":-1E-38,' in text
    assert '"labels":["NULL","null","\\\\N","[]","{}"],' in text
    assert '"moments":["1900-01-01T00:00:00.000Z"],' in text
    assert '"days":["1900-01-01","1970-01-01"],' in text
    assert '"codes":[-9223372036854775808,-1,0],"sizes":[4.9E-324,-0.0,-1.0E300],' in text


def test_parquet_files_have_the_types_of_the_contract(
    settings: Settings, pipeline: Pipeline, filled: Callable[..., None]
) -> None:
    filled("low")
    (path,) = Path(settings.output_path, NAME).rglob("*.parquet")
    found = {each.name: str(each.type).replace(" ", "") for each in pq.read_schema(path)}

    for field in pipeline.contract.fields:
        wanted = field.stored_as.parquet.replace(" ", "")
        assert found[field.column].replace("element:", "") == wanted, field.name


@pytest.mark.parametrize("text", ["[1,2", "[1,2]x", "1,2", '["1"]', "[1.5]"])
def test_text_that_is_no_array_of_its_type_is_never_taken_for_one(
    spark: SparkSession,
    settings: Settings,
    pipeline: Pipeline,
    filled: Callable[..., None],
    text: str,
) -> None:
    filled("low")
    only_csv = settings.model_copy(update={"output_format": ("csv",)})
    (path,) = Path(settings.output_path, NAME, "csv").rglob("*.csv")
    (file_set,) = pipeline.file_sets
    cell = text.replace('"', '""')
    path.write_text(path.read_text().replace('"[-9223372036854775808,-1,0]"', f'"{cell}"'))
    set_formats(only_csv, "csv")

    with pytest.raises(SinkRejected, match="cannot be read"):
        show_set(only_csv, NAME, 10, (pipeline,))
    assert codes(read_set(spark, settings, file_set, "csv")) in (None, "refused")


def codes(rows: DataFrame) -> Any:
    try:
        return rows.collect()[0].codes
    except (Py4JError, PySparkException) as error:
        return "refused" if "MALFORMED_RECORD" in str(error) else error


def test_values_are_compared_by_their_types() -> None:
    """`plain` tells what the comparisons above must not take for the same."""
    assert plain(-0.0) != plain(0.0)
    assert plain(1) != plain(True)
    assert plain(Decimal("1.10")) == plain(Decimal("1.1"))
    assert plain(date(2026, 11, 22)) != plain(datetime(2026, 11, 22, tzinfo=UTC))
    assert plain([1]) != plain(["1"])
