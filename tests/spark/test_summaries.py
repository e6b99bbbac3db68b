"""A job's summaries: the way of each depends on how many combinations of dimensions there are."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs import summaries
from spark_jobs.aggregates import Aggregate, count
from spark_jobs.transforms.summarise import Transform, combining, summarising
from tests.support.summaries import records_of


@pytest.mark.parametrize("few", [2, 1000], ids=["large batches", "small batches"])
def test_batches_with_many_combinations_are_read_by_document(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(summaries, "FEW_MESSAGES", few)
    by_country = Aggregate("by_country", ("country",), {"count": count()})
    rows = partial(records_of, spark)
    two, three = (rows(*({"country": name} for name in names)) for names in ("AB", "ABC"))
    monkeypatch.setattr(summaries, "MOST_COMBINATIONS", 2)
    ways: list[str] = []
    for making in (combining, summarising):

        def noted(*given: Any, making: Any = making) -> Transform:
            transform = making(*given)

            def way(classified: DataFrame) -> DataFrame:
                ways.append(making.__name__)
                return transform(classified)

            return way

        monkeypatch.setattr(summaries, making.__name__, noted)
    own = summaries.Summaries([by_country])

    def counted(records: DataFrame, messages: int) -> tuple[list[str], list[str]]:
        ways.clear()
        # A DataFrame of its own for each batch: what is made of the same one is planned once.
        found = own.of(records.select("*"), messages)
        assert found.stored == len(found.changes)
        return [change.document_id for change in found.changes], [*ways]

    assert counted(two, 500) == (["A", "B"], ["combining"])
    assert counted(three, 100) == (["A", "B", "C"], ["combining", "summarising"])
    # From then on, a batch of that size is read once.
    assert counted(three, 100) == (["A", "B", "C"], ["summarising"])
    assert counted(two, 500) == (["A", "B"], ["summarising"])
    assert counted(two, 99) == (["A", "B"], ["combining"])
