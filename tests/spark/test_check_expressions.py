"""`millrace check`: SQL of a declaration that Spark cannot analyse is named with its place."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from operations.check.check import check
from operations.check.expression_checks import expression_faults
from operations.check.folder import read_folder
from settings import Settings
from spark_jobs.registry import load_pipeline
from tests.support.pipeline_folders import (
    CQL,
    DECLARATION,
    DERIVED,
    EXAMPLES,
    KEEP,
    ORDERS_BY_STATUS,
    Edit,
    Expected,
    assert_expected,
    cql,
    declaration,
    orders,
)

DAY = 'derived["created_day"]'
IMPORT = declaration(
    "PIPELINE =",
    "from pyspark.sql import functions as F\n\n\ndef add(df):\n    return RESULT\n\n\nPIPELINE =",
)


def by_function(result: str) -> list[Edit]:
    return [IMPORT, declaration("RESULT", result), declaration(DERIVED, "derived=add")]


BROKEN: dict[str, tuple[list[Edit], list[Expected]]] = {
    "unknown column in a filter": (
        [declaration(KEEP, "keep=\"stats <> 'test'\"")],
        [(DECLARATION, "keep", "there is no column `stats`. Did you mean `status`?")],
    ),
    "filter that is no condition": (
        [declaration(KEEP, 'keep="amount"')],
        [(DECLARATION, "keep", '"amount" of type "DECIMAL(12,2)" is not a boolean')],
    ),
    "half a condition": (
        [declaration('alert="amount >= 10000"', 'alert="amount >= "')],
        [(DECLARATION, "alert", "Spark cannot read it: Syntax error at or near end of input")],
    ),
    "types that cannot be compared": (
        [declaration('alert="amount >= 10000"', 'alert="items > 3"')],
        [(DECLARATION, "alert", 'incompatible types ("ARRAY<STRING>" and "INT")')],
    ),
    "condition that distinguishes empty arrays from absent ones": (
        [
            declaration(KEEP, 'keep="items IS NOT NULL"'),
            declaration('alert="amount >= 10000"', "alert=\"NOT array_contains(items, 'tea')\""),
            declaration('outcome="alert"', 'where="amount > 5 AND size(items) = 0"'),
            declaration('count("express")', 'count("items = array()")'),
        ],
        [
            (DECLARATION, "keep", "it tells an empty `items` from an absent one"),
            (DECLARATION, "alert", "write `size(items) > 0` for an array with elements"),
            (DECLARATION, 'topics["orders-large"].where', "`size(items) <= 0` for one without"),
            (
                DECLARATION,
                'aggregates["orders_by_country"].measures["express"]',
                "as Cassandra does not, so that a batch and verify would differ",
            ),
        ],
    ),
    "conditions on arrays that are the same for empty and absent ones": (
        [
            declaration(KEEP, 'keep="size(items) > 0"'),
            declaration(
                'alert="amount >= 10000"',
                "alert=\"size(items) <= 0 OR NOT array_contains(items, 'tea')\"",
            ),
            declaration('outcome="alert"', "where=\"array_contains(items, 'items IS NULL')\""),
        ],
        [],
    ),
    "column of the second table alone that tells empty arrays from absent ones": (
        [
            declaration(DERIVED, f'{DERIVED[:-1]}, "pieces": "size(items)"}}'),
            cql("  created_day     date,", "  created_day     date,\n  pieces          int,"),
        ],
        [(DECLARATION, 'derived["pieces"]', "write `greatest(size(items), 0)`")],
    ),
    "columns of arrays that are the same for empty and absent ones": (
        [
            declaration(
                DERIVED,
                f'{DERIVED[:-1]}, "pieces": "greatest(size(items), 0)",'
                ' "others": "array_distinct(items)"}',
            ),
            cql(
                "  created_day     date,",
                "  created_day     date,\n  pieces int,\n  others list<text>,",
            ),
        ],
        [],
    ),
    "unknown function": (
        [declaration("to_date(created_at)", "todate(created_at)")],
        [(DECLARATION, DAY, "Spark cannot read it: Cannot resolve function `todate`.")],
    ),
    "sum over records in a derived column": (
        [declaration("to_date(created_at)", "max(to_date(created_at))")],
        [(DECLARATION, DAY, "a record is judged by itself")],
    ),
    "derived column of another type than its table's": (
        [declaration("to_date(created_at)", "array(created_at)")],
        [(DECLARATION, DAY, 'cannot cast "ARRAY<TIMESTAMP>" to "DATE"')],
    ),
    "unknown columns of an aggregate, its measure and a topic": (
        [
            declaration("status IN", "state IN"),
            declaration('count("express")', 'count("expres")'),
            declaration('outcome="alert"', 'outcome="alert", where="amont > 1"'),
        ],
        [
            (DECLARATION, 'topics["orders-large"].where', "Did you mean `amount`?"),
            (DECLARATION, 'aggregates["orders_by_currency"].where', "no column `state`"),
            (
                DECLARATION,
                'aggregates["orders_by_country"].measures["express"]',
                "Did you mean `express`?",
            ),
        ],
    ),
    "key of a topic": (
        [declaration('outcome="alert"', 'outcome="alert", key="customr_id"')],
        [(DECLARATION, 'topics["orders-large"].key', "Did you mean `customer_id`?")],
    ),
    "function that fails": (
        by_function("df.nope()"),
        [(DECLARATION, "derived, line 22", "AttributeError: 'DataFrame' object has no attribute")],
    ),
    "function with an unknown column": (
        by_function('df.withColumn("created_day", F.to_date("made_at"))'),
        [(DECLARATION, "derived, line 22", "there is no column `made_at`")],
    ),
    "function that drops columns": (
        by_function('df.drop("status")'),
        [(DECLARATION, "derived", "must return the frame that it was given, with columns added")],
    ),
    "function that returns nothing": (
        by_function("None"),
        [(DECLARATION, "derived", "must return the frame that it was given, with columns added")],
    ),
    "function that adds another column than the table's": (
        by_function('df.withColumn("day", F.to_date("created_at"))'),
        [(CQL, ORDERS_BY_STATUS, "nothing fills `created_day`")],
    ),
    "function that adds the table's column": (
        by_function('df.withColumn("created_day", F.to_date("created_at"))'),
        [],
    ),
}


@pytest.mark.parametrize(("edits", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_expression_is_named_with_its_place(
    edits: list[Edit], expected: list[Expected], spark: SparkSession, tmp_path: Path
) -> None:
    folder = orders(tmp_path, *edits)

    found = list(expression_faults(spark, read_folder(folder), load_pipeline(folder)))

    assert_expected(found, expected)


@pytest.mark.parametrize("example", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_expressions_of_examples_are_analysed(example: str, spark: SparkSession) -> None:
    folder = EXAMPLES / example

    assert list(expression_faults(spark, read_folder(folder), load_pipeline(folder))) == []


def test_expressions_are_analysed_next_to_faults_of_tables(
    spark: SparkSession,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("operations.check.check.session_alone", lambda *_: nullcontext(spark))
    orders(
        tmp_path,
        declaration(KEEP, "keep=\"stats <> 'test'\""),
        declaration('alert="amount >= 10000"', 'alert="explode(items) = 1"'),
        (CQL, "amount          decimal,", "amount          double,"),
        (CQL, "  PRIMARY KEY (order_id)", "  odd map<text, int>,\n  PRIMARY KEY (order_id)"),
    )

    assert check(Settings(_env_file=None, pipelines_path=tmp_path)) == 1

    places = [line.partition("`: ")[0] for line in capsys.readouterr().out.splitlines()]
    assert places == [
        "`orders/pipeline.py`, `alert",
        "`orders/pipeline.py`, `keep",
        "`orders/tables.cql`, `orders.orders",
        "`orders/tables.cql`, `orders.orders",
        "4 faults. docs/your-own-pipeline.md has the rules.",
    ]
