"""How much `make run` sends, and how fast `make stream` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations import commands
from operations import run as runs
from operations.options import build_parser
from operations.run import Amounts, stream_rate
from settings import Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.profiles import PROFILES
from tests.support.pipeline_folders import orders


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


@pytest.mark.parametrize("name", ["command", "seed"])
def test_pipeline_with_the_name_of_another_option_gets_the_count_of_all(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders(tmp_path, name=name)
    counts = list[Mapping[str, int]]()
    monkeypatch.setattr(runs, "run", lambda _, amounts, *__: counts.append(amounts.counts))
    settings = _settings(pipelines_path=tmp_path, pipelines=f"{name},tickets,profiles")

    for words in (["--seed", "7"], ["--seed", "7", "--count", "5", "--tickets", "0"]):
        commands.run(settings, build_parser().parse_args(["run", *words]))

    assert counts == [{}, {name: 5, "tickets": 0, "profiles": 5}]


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
