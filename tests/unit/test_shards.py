"""Tables whose partitions are divided into shards: what declares them, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from errors import PipelineError
from operations.check.partitions import growth
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import load_pipeline
from spark_jobs.start_checks.declaration_change import changes
from spark_jobs.start_checks.declaration_shape import shape_of
from tests.support.pipeline_folders import (
    CONTRACT,
    CQL,
    DECLARATION,
    DECLARED_SHARDS,
    ORDERS_BY_STATUS,
    SHARD_COLUMN,
    SHARD_IN_KEY,
    Edit,
    assert_expected,
    declaration,
    faults,
    orders,
)


def sharded(tmp_path: Path, *edits: Edit) -> Pipeline:
    return load_pipeline(orders(tmp_path, DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY, *edits))


def test_declared_shards_need_a_column_in_the_partition_key_and_nothing_else(
    tmp_path: Path,
) -> None:
    assert faults(orders(tmp_path / "whole", DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY)) == []

    assert_expected(
        faults(orders(tmp_path / "without", DECLARED_SHARDS)),
        [(CQL, ORDERS_BY_STATUS, "add a column `shard int`, and `shard` to its partition key")],
    )
    assert_expected(
        faults(orders(tmp_path / "at the end", DECLARED_SHARDS, SHARD_COLUMN)),
        [(CQL, ORDERS_BY_STATUS, "and `shard` to its partition key")],
    )


def test_column_of_shards_is_fed_by_the_id_alone(tmp_path: Path) -> None:
    feeds = (CONTRACT, '"x-column": "items"', '"x-column": "shard"')
    first = declaration('Table("orders.orders")', 'Table("orders.orders", shards=4)')

    found = faults(orders(tmp_path, DECLARED_SHARDS, SHARD_COLUMN, SHARD_IN_KEY, feeds, first))

    said = [fault.text for fault in found if fault.where.endswith(".shards")]
    place = "tables have different numbers of shards; give all the same"
    assert said.count(place) == 2
    assert "`items` of the contract feeds `shard`; rename its column" in said


def test_shard_follows_from_the_id_and_is_written_like_any_derived_column(tmp_path: Path) -> None:
    pipeline = sharded(tmp_path)

    assert pipeline.derived == {
        "shard": "cast(pmod(crc32(order_id), 3) AS int)",
        "created_day": "to_date(created_at)",
    }
    assert pipeline.column_types["shard"] == "int"
    assert growth(pipeline, pipeline.tables[1]).shares == 15


def test_id_of_several_fields_is_joined_as_everywhere(tmp_path: Path) -> None:
    ids = (
        CONTRACT,
        '"x-event-time": true, "x-sens',
        '"x-id": true, "x-event-time": true, "x-sens',
    )

    derived = sharded(tmp_path, ids).derived

    assert isinstance(derived, Mapping)
    assert derived["shard"].startswith("cast(pmod(crc32(concat_ws('|', ")
    assert derived["shard"].endswith(", 3) AS int)")


def test_another_number_of_shards_is_a_breaking_change(tmp_path: Path) -> None:
    before = shape_of(sharded(tmp_path / "three"))
    more = declaration("shards=3", "shards=4")

    found = changes(before, shape_of(sharded(tmp_path / "four", more)))

    assert [str(change).partition(";")[0] for change in found] == [
        "breaking: derived column `shard` changed"
    ]
    first = shape_of(load_pipeline(orders(tmp_path / "none")))
    assert {change.kind for change in changes(first, before)} == {"breaking", "needs a column"}


@pytest.mark.parametrize(
    "derived", ['{"created_day": "to_date(created_at)", "shard": "1"}', "lambda rows: rows"]
)
def test_shard_that_would_not_follow_from_the_id_is_refused(derived: str, tmp_path: Path) -> None:
    own = declaration('derived={"created_day": "to_date(created_at)"}', f"derived={derived}")

    with pytest.raises(PipelineError, match=r"derived: (has `shard`|is a function)"):
        sharded(tmp_path, own)


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        ('{"cuntry": 5}', "`cuntry` is not in the partition key; leave it out"),
        ('{"created_day": 365}', "`created_day` divides records by itself; leave it out"),
        ('{"status": 6}', "`status` has 5 values by the contract, not 6; leave it out"),
    ],
)
def test_number_of_values_is_declared_only_of_what_divides_by_its_values(
    spread: str, words: str, tmp_path: Path
) -> None:
    given = (DECLARATION, 'orders_by_status")', f'orders_by_status", spread={spread})')

    assert_expected(
        faults(orders(tmp_path, given)),
        [(DECLARATION, 'tables["orders.orders_by_status"].spread', words)],
    )


def test_fewer_values_than_the_contract_allows_may_be_declared(tmp_path: Path) -> None:
    given = (DECLARATION, 'orders_by_status")', 'orders_by_status", spread={"status": 4})')

    assert faults(orders(tmp_path, given)) == []


def test_without_shards_nothing_is_derived(tmp_path: Path) -> None:
    pipeline = load_pipeline(orders(tmp_path))

    assert pipeline.derived == {"created_day": "to_date(created_at)"}
    assert [table.shards for table in pipeline.tables] == [1, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("shards=0", "tables[1].shards: is no whole number from 1 to 1,024"),
        ("shards=True", "tables[1].shards: is no whole number from 1 to 1,024"),
        ("shards=1025", "tables[1].shards: is no whole number from 1 to 1,024"),
        (
            'shards=3, derived={"shard": "1"}',
            'tables["orders.orders_by_status"].derived: has `shard`, which `shards` gives',
        ),
        ("shards=3, derived=5", "tables[1].derived: is of type int; expected a dictionary"),
        ('spread={"status": "5"}', "tables[1].spread: is no dictionary of whole numbers"),
        ("spread=5", "tables[1].spread: is no dictionary of whole numbers"),
    ],
)
def test_declaration_of_another_type_is_refused(given: str, words: str, tmp_path: Path) -> None:
    folder = orders(tmp_path, (DECLARATION, 'orders_by_status")', f'orders_by_status", {given})'))

    with pytest.raises(PipelineError) as caught:
        load_pipeline(folder)
    assert words in str(caught.value)
