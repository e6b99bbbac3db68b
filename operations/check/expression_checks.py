"""Checks of a declaration's SQL, analysed by Spark on an empty frame; no record is read."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from operations.check.declaration_checks import conditions
from operations.check.empty_arrays import distinguished
from operations.check.fault import DECLARATION, Fault
from operations.check.folder import Folder
from operations.check.table_checks import unfilled
from runtime import remedies
from schemas.spark import MESSAGE_SCHEMA
from spark_jobs.columns import OF_MESSAGES, schema_of
from spark_jobs.pipeline import Pipeline
from spark_jobs.transforms.pseudonymise import Digests

# What Spark puts around the sentence: the name of the error in front, the query behind.
ERROR_NAME: Final = re.compile(r"^\s*\[[A-Z_.0-9]+\]\s*")
QUERY: Final = re.compile(r";?\s*(?:\(?line \d+,? pos \d+\)?;?|\n).*", re.DOTALL)
# Advice that is about queries and not about an expression.
ASIDES: Final = re.compile(r" on search path \[[^\]]*\]| Please, refer to \S+ for a fix")


def expression_faults(
    spark: SparkSession, folder: Folder, pipeline: Pipeline, *, as_a_whole: bool = True
) -> Iterator[Fault]:
    """Yield SQL that Spark cannot analyse, and derived columns that nothing can hold.

    `as_a_whole`: analyse the whole plan too if each expression by itself has no fault.
    """
    own = [field.column for field in pipeline.contract.fields if field.column]
    types = pipeline.column_types
    names = [
        *dict.fromkeys([*own, *(n for n in ("hash_key_id",) if pipeline.hashes), *OF_MESSAGES])
    ]
    records = spark.createDataFrame([], schema_of(names, types))
    faults: list[Fault] = []
    if callable(pipeline.derived):
        records = _by_function(folder, pipeline, pipeline.derived, records, faults)
    else:
        for name, sql in pipeline.derived.items():
            place = f'derived["{name}"]'
            fault = _fault_of(records, sql, place, types.get(name, "string"))
            faults += [fault] if fault else _of_others(folder, records, name, sql, place)
            # The next ones may use it even if its own SQL is wrong.
            records = records.withColumn(name, F.lit(None).cast(types.get(name, "string")))
    for place, sql in conditions(pipeline):
        fault = _fault_of(records, sql, place, None)
        faults += [fault] if fault else _empty_arrays(records, sql, place)
    for topic in pipeline.topics:
        fault = _fault_of(records, topic.key, f'topics["{topic.name}"].key', "string")
        faults += [fault] if fault else []
    for table in pipeline.tables:
        for name, sql in table.derived.items():
            place = f'tables["{table.place}"].derived["{name}"]'
            fault = _fault_of(records, sql, place, types.get(name, "string"))
            faults += [fault] if fault else _of_others(folder, records, name, sql, place)
    yield from faults
    if as_a_whole and not faults:
        yield from _as_a_whole(spark, pipeline)


def _fault_of(records: DataFrame, sql: str, place: str, wanted: str | None) -> Fault | None:
    """The fault of one expression; `wanted` is its type, None for a condition."""
    try:
        if wanted is None:
            _ = records.filter(sql).schema
        else:
            # Next to the columns of the record, so that an aggregate is refused.
            _ = records.withColumn("_", F.expr(sql).cast(wanted)).schema
    except PySparkException as error:
        return Fault(DECLARATION, place, said_plainly(error, records.columns))
    return None


def _empty_arrays(records: DataFrame, sql: str, place: str) -> list[Fault]:
    """A fault for each array of which a condition tells whether it is empty or absent."""
    return [
        Fault(
            DECLARATION,
            place,
            f"it tells an empty `{name}` from an absent one, as Cassandra does not, so that a batch"
            f" and verify would differ; write `size({name}) > 0` for an array with elements, or"
            f" `size({name}) <= 0` for one without",
        )
        for name in distinguished(records, sql)
    ]


def _of_others(folder: Folder, records: DataFrame, name: str, sql: str, place: str) -> list[Fault]:
    """The same of a column that the first table lacks: verify derives it from stored records."""
    tables = [t.place for t in folder.declaration.tables] if folder.declaration else []
    having = [t for t in tables if t in folder.cql and name in folder.cql[t].columns]
    if not having or tables[0] in having:
        return []
    return [
        Fault(
            DECLARATION,
            place,
            f"it has another value for an empty `{array}` than for an absent one, as Cassandra does"
            f" not; write `greatest(size({array}), 0)` or `size({array}) > 0`, or add the column to"
            " the first table",
        )
        for array in distinguished(records, sql, is_condition=False)
    ]


def said_plainly(error: PySparkException, columns: list[str]) -> str:
    """What Spark says about an expression, without the query around it."""
    text = QUERY.sub("", ERROR_NAME.sub("", str(error))).strip()
    if "cannot be resolved" in text and (named := re.search(r"with name `([^`]+)`", text)):
        return f"there is no column `{named[1]}`.{remedies.nearest(named[1], columns)}"
    if "GROUP BY" in text:
        return "it adds up several records, but a record is judged by itself"
    return f"Spark cannot read it: {ASIDES.sub('', text)}"


def _by_function(
    folder: Folder,
    pipeline: Pipeline,
    function: Callable[[DataFrame], DataFrame],
    records: DataFrame,
    faults: list[Fault],
) -> DataFrame:
    """Call the function that adds columns; returns what it returned, or else the records."""
    given = {*records.columns}
    try:
        added = function(records)
        names = added.columns if isinstance(added, DataFrame) else []
    except Exception as error:  # any mistake in the user's own code
        lines = [
            f.lineno
            for f in traceback.extract_tb(error.__traceback__)
            if pipeline.folder and f.filename.startswith(str(pipeline.folder))
        ]
        line = f", line {lines[-1]}" if lines else ""
        text = (
            said_plainly(error, records.columns)
            if isinstance(error, PySparkException)
            else f"{type(error).__name__}: {error}"
        )
        faults.append(Fault(DECLARATION, f"derived{line}", text))
        return records
    if not isinstance(added, DataFrame) or not given <= {*names}:
        faults.append(
            Fault(
                DECLARATION,
                "derived",
                "the function must return the frame that it was given, with columns added",
            )
        )
        return records
    faults += unfilled(folder, {*names} - given)
    return added


def _as_a_whole(spark: SparkSession, pipeline: Pipeline) -> Iterator[Fault]:
    """Yield what only the whole plan of a batch shows."""
    digests = Digests.hmac_sha256("check") if pipeline.hashes else None
    try:
        judged = pipeline.judge(spark.createDataFrame([], MESSAGE_SCHEMA), digests)
        _ = pipeline.summarise(judged).schema
        rows = [table.rows for table in pipeline.tables]
        rows += [table.rows for table in pipeline.sql_tables]
        rows += [file_set.rows for file_set in pipeline.file_sets]
        for of_target in rows:
            _ = of_target(judged).schema
    except (PySparkException, ValueError) as error:
        text = said_plainly(error, []) if isinstance(error, PySparkException) else str(error)
        yield Fault(DECLARATION, "", text)
