"""`millrace check`: faults together, what is no fault, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from errors import JobError, PipelineError
from operations.check.check import check
from operations.check.contract_checks import contract_faults
from operations.check.fault import Fault
from operations.check.folder import read_folder
from settings import PROJECT_ROOT, Settings
from spark_jobs.registry import load_pipeline
from tests.support.pipeline_folders import (
    BY_STATUS,
    CONTRACT,
    CQL,
    DECLARATION,
    DERIVED,
    EXAMPLES,
    SQL,
    assert_expected,
    cql,
    declaration,
    faults,
    orders,
    sql,
)


@pytest.mark.parametrize("example", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_examples_have_no_faults(example: str) -> None:
    assert [fault.line(example) for fault in faults(EXAMPLES / example)] == []


def test_all_faults_are_listed_at_once_file_by_file(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        (CONTRACT, '"enum": ["EUR", "USD", "GBP", "CHF"]', '"enum": []'),
        cql("-- One row", "DROP TABLE x;\n-- One row"),
        declaration('"created_day": "to_date(created_at)"', '"created_day": "now()"'),
        sql("customer_id     text", "customer_id     text UNIQUE"),
    )

    found = [(fault.file, fault.where) for fault in faults(folder)]

    assert found == [
        (CONTRACT, "currency"),
        (DECLARATION, 'derived["created_day"]'),
        (CQL, "DROP TABLE"),
        (SQL, "orders"),
    ]


def test_absent_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()

    assert [(f.file, f.text.partition(";")[0]) for f in faults(tmp_path / "orders")] == [
        (CONTRACT, "there is no such file"),
        (DECLARATION, "there is no such file"),
        (CQL, "there is no such file"),
    ]


def test_tables_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    (folder / CQL).write_bytes(b"-- caf\xe9\n")

    assert_expected(
        faults(folder),
        [
            (CQL, "", "it is not text in UTF-8"),
        ],
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("Orders", "lower-case letters"), ("tickets", "built-in pipeline"), ("a" * 41, "40")],
)
def test_name_that_no_pipeline_may_have_is_named(name: str, words: str, tmp_path: Path) -> None:
    found = [f.text for f in faults(orders(tmp_path, name=name)) if not f.file]

    assert len(found) == 1
    assert words in found[0]


def test_what_another_pipeline_has_is_named(tmp_path: Path) -> None:
    found = faults(
        orders(tmp_path, declaration(DERIVED, f'reads="orders", {DERIVED}'), name="sales"),
        orders(tmp_path),
    )

    assert [(f.file, f.text.partition(" belongs to the pipeline `orders`")[0]) for f in found] == [
        (DECLARATION, "the topic `orders`"),
        (DECLARATION, "the topic `orders-large`"),
        (DECLARATION, "the file set `orders`"),
        (DECLARATION, "the collection `orders_by_currency`"),
        (DECLARATION, "the collection `orders_by_country`"),
        (CQL, "the keyspace `orders`"),
        (SQL, "the SQL table `orders`"),
    ]


def test_partitions_without_any_time_are_divided_by_a_shard_of_the_id(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        (CONTRACT, '"format": "timestamp",\n      "x-event-time": true, ', ""),
        cql("created_at      timestamp,\n  status", "created_at      text,\n  status"),
        cql("created_at      timestamp,\n  order_id", "created_at      text,\n  order_id"),
        cql(BY_STATUS, "((status), order_id)"),
        cql("(created_at DESC, order_id ASC)", "(order_id ASC)"),
    )

    found = [f.text for f in faults(folder) if "without bound" in f.text]

    assert found == [
        "a partition holds all records with the same status, and grows without bound; divide it by"
        ' a shard: `Table("orders.orders_by_status", shards=16)`, a column `shard int`, and'
        " PRIMARY KEY ((status, shard), …)"
    ]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("pmod(crc32(order_id), 16)", "int"),
        ("date_format(created_at, 'yyyy-MM')", "text"),
        ("year(kafka_timestamp)", "int"),
    ],
    ids=["shard", "month as text", "year of arrival"],
)
def test_partitions_with_a_bucket_are_bounded(expression: str, kind: str, tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        declaration("to_date(created_at)", expression),
        cql("created_day     date", f"created_day     {kind}"),
    )

    assert [fault.text for fault in faults(folder)] == []


def test_derived_column_of_optional_fields_needs_a_value_in_a_key(tmp_path: Path) -> None:
    derived = '{"created_day": "to_date(created_at)", "region": "upper(country)"}'
    edits = (
        declaration('{"created_day": "to_date(created_at)"}', derived),
        cql(
            "  status          text,\n  created_day",
            "  status text,\n  region text,\n  created_day",
        ),
        cql(BY_STATUS, "((region, created_day), created_at, order_id)"),
    )
    handled = declaration("upper(country)", "coalesce(upper(country), 'none')")

    without = [f.text for f in faults(orders(tmp_path / "a", *edits))]
    with_value = [f.text for f in faults(orders(tmp_path / "b", *edits, handled))]

    assert len(without) == 1
    assert "`region` is in the key, but the field `customer.country` may be absent" in without[0]
    assert with_value == []


def test_personal_data_is_followed_into_derived_columns(tmp_path: Path) -> None:
    personal = (
        CONTRACT,
        '"x-sensitivity": "public", "x-column": "customer_id"',
        '"x-sensitivity": "personal", "x-column": "customer_id"',
    )
    derived = declaration(
        '{"created_day": "to_date(created_at)"}',
        '{"created_day": "to_date(created_at)", "initial": "left(customer_id, 1)"},\n'
        '    clear=("customer_id",)',
    )
    column = cql("  express         boolean,\n", "  express boolean,\n  initial text,\n")

    found = [f.text for f in faults(orders(tmp_path, personal, derived, column))]

    assert len(found) == 1
    assert found[0].startswith("`initial` is made of `customer_id`, which is `personal`")


def test_public_field_with_a_telling_name_is_a_note(tmp_path: Path) -> None:
    folder = orders(
        tmp_path, (CONTRACT, '"express": {', '"contactEmail": {"type": "string", "x-sensitivity":'
                   ' "public"},\n    "express": {')
    )  # fmt: skip

    found = faults(folder)

    assert [(f.where, f.is_note) for f in found] == [("contactEmail", True)]
    assert "may be personal" in found[0].text


def test_column_that_is_stored_nowhere_is_a_note(tmp_path: Path) -> None:
    folder = orders(
        tmp_path, (CONTRACT, '"express": {', '"note": {"type": "string", "x-column": "note",'
                   ' "x-sensitivity": "public"},\n    "express": {')
    )  # fmt: skip

    assert [(f.where, f.is_note, f.text) for f in faults(folder)] == [
        ("note", True, "its column `note` is in no table, so it is stored nowhere")
    ]


def test_fault_is_one_line_with_pipeline_file_and_place() -> None:
    fault = Fault(CONTRACT, "customer.email", "unknown keyword `x-sensitivty`")

    assert fault.line("orders") == (
        "`orders/contract.schema.json`, `customer.email`: unknown keyword `x-sensitivty`."
    )


def test_id_of_microseconds_is_a_fault_of_the_check_alone_as_records_may_be_stored(
    tmp_path: Path,
) -> None:
    at = (CONTRACT, '"type": "string", "pattern": "^[A-Za-z0-9-]{1,40}$"',
          '"type": "integer", "x-epoch": "microseconds"')  # fmt: skip
    folder = read_folder(orders(tmp_path, at))

    assert folder.faults == []
    (fault,) = contract_faults(folder)
    assert (fault.file, fault.where) == (CONTRACT, "order_id")
    assert "compared by the millisecond" in fault.text


def test_faults_on_the_page_are_those_that_are_found(tmp_path: Path) -> None:
    page = (PROJECT_ROOT / "docs/your-own-pipeline.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("`orders/")]
    edits = (
        declaration('total("amount")', 'total("status")'),
        cql(BY_STATUS, "((status), created_at, order_id)"),
    )
    keyword = (CONTRACT, '"enum": ["EUR"', '"enumm": ["EUR"')

    # A contract that cannot be read gives no types to compare with.
    found = [*faults(orders(tmp_path / "a", keyword)), *faults(orders(tmp_path / "b", *edits))]

    assert shown == [fault.line("orders") for fault in found]


def no_spark(*_: object) -> NoReturn:
    raise JobError("Spark's Java process did not start.")


def test_faults_of_a_contract_are_printed_without_spark_and_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.check.check.session_alone", no_spark)
    orders(tmp_path, (CONTRACT, '"enum": ["EUR"', '"enumm": ["EUR"'))
    settings = Settings(_env_file=None, pipelines_path=tmp_path)

    assert check(settings) == 1
    assert capsys.readouterr().out == (
        "`orders/contract.schema.json`, `currency`: unknown keyword `enumm`; did you mean `enum`?\n"
        "1 fault. docs/your-own-pipeline.md has the rules.\n"
    )


def test_faults_are_printed_also_if_spark_cannot_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.check.check.session_alone", no_spark)
    orders(tmp_path, declaration('total("amount")', 'total("status")'))
    settings = Settings(_env_file=None, pipelines_path=tmp_path)

    with pytest.raises(JobError, match="did not start"):
        check(settings)

    printed = capsys.readouterr().out
    assert "`total` needs a number" in printed
    assert "no faults" not in printed


def test_tables_are_compared_with_what_can_be_read_of_a_contract(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        (CONTRACT, '"enum": ["EUR"', '"enumm": ["EUR"'),
        (CONTRACT, '"type": ["string", "number"]', '"type": "decimal"'),
        cql("express         boolean", "express         text"),
        cql(BY_STATUS, "((status), created_at, order_id)"),
        sql("kafka_offset    bigint NOT NULL,\n", ""),
        declaration('count("express")', 'total("status")'),
    )

    # What is of the type of `amount`, which cannot be read, is not compared.
    assert_expected(
        faults(folder),
        [
            (CONTRACT, "amount", "`type` is not made of"),
            (CONTRACT, "currency", "did you mean `enum`?"),
            (
                DECLARATION,
                'aggregates["orders_by_country"].measures["express"]',
                "`status` is of type string",
            ),
            (CQL, "orders.orders", "`express` is text, but its values are boolean"),
            (CQL, "orders.orders_by_status", "grows without bound"),
            (SQL, "orders", "add: kafka_offset bigint"),
        ],
    )


def test_tables_are_checked_without_a_readable_declaration(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        declaration("PIPELINE = Pipeline(", "PIPELINE = Pipeline(("),
        cql("amount          decimal,", "amount          double,"),
        cql(BY_STATUS, "((status), created_at)"),
    )

    assert_expected(
        faults(folder),
        [
            (DECLARATION, "line 18", "SyntaxError"),
            (CQL, "orders.orders", "`amount` is double"),
            (CQL, "orders.orders_by_status", "`order_id` of the id is not in the primary key"),
            (CQL, "orders.orders_by_status", "grows without bound"),
        ],
    )


def test_type_that_no_record_has_ends_no_command_in_a_traceback(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        cql("  express         boolean,", "  express boolean,\n  odd map<text, int>,"),
        declaration('{"created_day"', '{"odd": "1", "created_day"'),
    )

    with pytest.raises(PipelineError, match="has the type map<text, int>"):
        load_pipeline(folder)


def test_unknown_name_is_answered_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders(tmp_path)

    assert check(Settings(_env_file=None, pipelines_path=tmp_path), "order") == 1
    assert "Did you mean `orders`?" in capsys.readouterr().out


def test_no_pipeline_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings(_env_file=None, pipelines_path=tmp_path / "absent")) == 0
    assert "no pipeline in" in capsys.readouterr().out


def test_built_in_pipeline_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings(_env_file=None), "tickets") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "tickets: no faults; 6 fields, 2 tables, 1 SQL table, 5 file sets, 4 aggregates\n"
    )
    assert "users_profiles" not in printed
