"""`millrace try`: what a job would make of the records of a file, without any service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from operations.masking import MASK, masked_columns
from operations.trial import Verdict, verdicts
from settings import PROJECT_ROOT
from spark_jobs.registry import built_in, load_pipeline
from tests.support.builders import profile
from tests.support.pipeline_folders import (
    CONTRACT,
    DERIVED,
    EXAMPLES,
    cql,
    declaration,
    orders,
)

DAY = "2026-11-22"


def order(number: int, **changes: Any) -> dict[str, Any]:
    """A valid order; a change to `...` takes the field away."""
    fields = {
        "order_id": f"A-{number}",
        "created_at": f"{DAY}T10:11:12.345+01:00",
        "status": "paid",
        "amount": "12.30",
        "currency": "eur",
        "items": ["tea", "cup"],
        "customer": {"id": "C-1", "email": "Ada@Example.com", "country": "FR"},
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


RECORDS = [
    order(1),
    order(2, amount=20000, express=True, items=...),
    order(1, amount=3),
    order(4, status="test"),
    order(5, amount="3.001", currency="SEK", created_at=...),
    "not JSON",
    order(1, status="test"),
]


def samples(records: Iterable[Any]) -> list[tuple[str, bytes]]:
    texts = (each if isinstance(each, str) else json.dumps(each) for each in records)
    return [(f"line {n}", text.encode()) for n, text in enumerate(texts, start=1)]


def judged(spark: SparkSession, folder: Path, *chunks: Iterable[Any]) -> list[Verdict]:
    every = samples(record for chunk in chunks for record in chunk)
    lengths = [len(list(chunk)) for chunk in chunks]
    parts = [every[sum(lengths[:n]) : sum(lengths[: n + 1])] for n in range(len(lengths))]
    return list(verdicts(spark, load_pipeline(folder), parts))


def test_each_record_has_outcome_and_reasons(spark: SparkSession) -> None:
    found = judged(spark, EXAMPLES / "orders", RECORDS)

    assert [(v.place, v.outcome, v.reasons, v.first) for v in found] == [
        ("line 1", "valid", [], None),
        ("line 2", "alert", [], None),
        ("line 3", "duplicate", [], "line 1"),
        ("line 4", "filtered", [], None),
        ("line 5", "rejected", ["missing_created_at", "invalid_amount", "invalid_currency"], None),
        ("line 6", "rejected", ["unparseable"], None),
        ("line 7", "filtered", [], None),
    ]


def test_columns_are_those_of_the_tables_with_digests_and_every_digit(spark: SparkSession) -> None:
    first, second = judged(spark, EXAMPLES / "orders", RECORDS[:2])

    columns = json.loads(first.columns, parse_float=str)
    digest = columns.pop("customer_email")
    assert len(digest) == 64
    assert int(digest, 16)
    assert columns == {
        "order_id": "A-1",
        "created_at": f"{DAY}T09:11:12.345Z",
        "status": "paid",
        "amount": "12.30",
        "currency": "EUR",
        "items": ["tea", "cup"],
        "express": False,
        "customer_id": "C-1",
        "country": "FR",
        "created_day": DAY,
    }
    assert json.loads(second.columns, parse_float=str)["amount"] == "20000.00"
    assert json.loads(second.columns)["items"] is None


def test_duplicates_are_found_across_chunks(spark: SparkSession) -> None:
    found = judged(spark, EXAMPLES / "orders", [order(1), order(2)], [order(2), order(3)])

    assert [(v.outcome, v.first) for v in found] == [
        ("valid", None),
        ("valid", None),
        ("duplicate", "line 2"),
        ("valid", None),
    ]


def test_digests_are_of_a_key_that_is_thrown_away(spark: SparkSession) -> None:
    once, again = (judged(spark, EXAMPLES / "orders", RECORDS[:1]) for _ in range(2))

    assert once[0].columns != again[0].columns


def test_personal_data_and_what_is_derived_from_it_is_masked(
    spark: SparkSession, tmp_path: Path
) -> None:
    personal = (
        CONTRACT,
        '"x-sensitivity": "public", "x-column": "customer_id"',
        '"x-sensitivity": "personal", "x-column": "customer_id"',
    )
    derived = '{"created_day": "to_date(created_at)", "initial": "left(customer_id, 1)"}'
    edits = (
        personal,
        declaration('{"created_day": "to_date(created_at)"}', derived),
        cql("  express         boolean,\n", "  express boolean,\n  initial text,\n"),
    )
    allowed = declaration("sql_tables=", 'clear=("customer_id",),\n    sql_tables=')

    (masked,) = judged(spark, orders(tmp_path / "a", *edits), [order(1)])
    (clear,) = judged(spark, orders(tmp_path / "b", *edits, allowed), [order(1)])

    shown = json.loads(masked.columns)
    assert (shown["customer_id"], shown["initial"]) == (MASK, MASK)
    assert "C-1" not in masked.as_json()
    shown = json.loads(clear.columns)
    assert (shown["customer_id"], shown["initial"]) == ("C-1", MASK)


def test_what_a_function_derives_is_masked_if_any_field_is_personal(tmp_path: Path) -> None:
    function = declaration(DERIVED, "derived=lambda df: df.selectExpr('*', 'x AS created_day')")
    personal = (
        CONTRACT,
        '"x-sensitivity": "public", "x-column": "country"',
        '"x-sensitivity": "personal", "x-column": "country"',
    )
    columns = ["order_id", "country", "created_day"]

    public = load_pipeline(orders(tmp_path / "a", function))
    hidden = load_pipeline(orders(tmp_path / "b", function, personal))

    assert masked_columns(public, columns) == set()
    assert masked_columns(hidden, columns) & {*columns} == {"country", "created_day"}


def test_built_in_pipelines_are_tried_too(spark: SparkSession) -> None:
    (profiles,) = (each for each in built_in() if each.name == "profiles")
    records = [profile(), profile(dob__date="2020-01-01T00:00:00Z"), profile(email=...)]

    found = list(verdicts(spark, profiles, [samples(records)]))

    assert [(v.outcome, v.reasons) for v in found] == [
        ("valid", []),
        ("filtered", []),
        ("rejected", ["missing_email"]),
    ]
    assert not any(
        name in verdict.as_json() for verdict in found for name in ("Ada", "Lovelace", "bluecat")
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "orders.jsonl"
    path.write_text("".join(f"{text.decode()}\n" for _, text in samples(RECORDS)))
    return path


def millrace(home: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command with the examples as pipelines."""
    environment = os.environ | {"PIPELINES_PATH": str(EXAMPLES), "MILLRACE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "operations.cli", *words],
        cwd=PROJECT_ROOT,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_command_prints_a_json_object_for_each_record_and_totals_aside(
    sample: Path, tmp_path: Path
) -> None:
    done = millrace(tmp_path, "try", "orders", "-", "--format", "json", stdin=sample.read_text())

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [line["outcome"] for line in lines] == [
        *("valid", "alert", "duplicate", "filtered", "rejected", "rejected", "filtered")
    ]
    assert lines[2]["duplicate_of"] == "line 1"
    assert lines[4] == {
        "record": "line 5",
        "outcome": "rejected",
        "reasons": ["missing_created_at", "invalid_amount", "invalid_currency"],
        "columns": {},
    }
    assert "valid=1" in done.stderr.split()
    assert "unparseable=1" in done.stderr.split()


def test_command_prints_all_columns_and_totals(sample: Path, tmp_path: Path) -> None:
    done = millrace(tmp_path, "try", "orders", str(sample))

    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words.count("created_day") == 5
    assert "missing_created_at, invalid_amount, invalid_currency" in done.stdout
    assert "│ rejected  │       2 │" in done.stdout


def test_command_says_what_cannot_be_read_before_spark_starts(tmp_path: Path) -> None:
    absent = millrace(tmp_path, "try", "orders", str(tmp_path / "absent.jsonl"))
    empty = millrace(tmp_path, "try", "orders", "-")
    unknown = millrace(tmp_path, "try", "order", "-")

    assert {absent.returncode, empty.returncode, unknown.returncode} == {1}
    assert "absent.jsonl" in absent.stderr
    assert "no records" in empty.stderr
    assert "Did you mean `orders`?" in unknown.stderr
    assert not (tmp_path / "logs").exists()


def test_check_analyses_the_examples_without_services(tmp_path: Path) -> None:
    done = millrace(tmp_path, "check")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "orders: no faults; 10 fields, 2 tables, 1 SQL table, 1 file set" in done.stdout
