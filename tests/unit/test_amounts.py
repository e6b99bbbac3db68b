"""How much `make run` sends, and how fast `make stream` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from operations.run import Amounts, stream_rate
from settings import Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.profiles import PROFILES


def _settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("counts", "source", "count", "are_few"),
    [
        ({}, None, 500, True),
        ({}, "/data/customers.csv", None, False),
        ({"customers": 30}, "/data/customers.csv", 30, True),
        ({"customers": 0}, None, 0, True),
        ({"customers": 20_001}, None, 20_001, False),
    ],
)
def test_a_file_of_ones_own_is_sent_whole_unless_an_amount_is_given(
    counts: dict[str, int], source: str | None, count: int | None, are_few: bool
) -> None:
    settings = _settings(customers_source=source)

    assert Amounts(counts, 1).of(CUSTOMERS, settings) == count
    assert Amounts(counts, 1).are_few([CUSTOMERS], settings) is are_few


@pytest.mark.parametrize(("size", "are_few"), [(4_000_000, True), (4_000_001, False)])
def test_a_file_to_send_is_few_records_by_its_size(
    size: int, are_few: bool, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl"
    with file.open("wb") as sparse:
        sparse.truncate(size)

    assert Amounts({}, 1, str(file)).are_few([PROFILES], _settings()) is are_few


def test_stream_sends_at_a_rate_of_its_own_where_there_is_one() -> None:
    settings = _settings(tickets_rate=7, customers_rate=2)

    assert stream_rate(CUSTOMERS, settings) == 2
    assert stream_rate(PROFILES, settings) == 7
    assert stream_rate(CUSTOMERS, _settings(tickets_rate=7)) == 7
