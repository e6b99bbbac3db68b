"""The tables of docs/scaling.md follow from the figures and assumptions that the page gives."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from math import ceil

from producers.vocabulary import TYPE_WEIGHTS
from runtime.config.types import MOST_SHARDS
from settings import PROJECT_ROOT, Settings

PAGE = (PROJECT_ROOT / "docs/scaling.md").read_text()
RATES = (1_000, 10_000, 100_000, 1_000_000)
DAY = 86_400
MOST_ROWS = 100_000
GIGABYTE, TERABYTE = 10**9, 10**12
MICROSECOND = Fraction(1, 1_000_000)


def cells(row: str) -> list[str]:
    """The cells of the row with this first cell, which is there once."""
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {row}")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def figures(row: str) -> list[Fraction]:
    """The numbers in the second cell of a row; exact, as they are rounded up."""
    return [Fraction(text) for text in re.findall(r"\d+(?:\.\d+)?", cells(row)[0])]


SPARK, CASSANDRA = figures("processor time: Spark")
AGGREGATES, KAFKA, DRIVER = figures("processor time: aggregates")
[MESSAGE] = figures("on the broker's disk")
ROWS = sum(figures("in Cassandra's files"))
[REMEMBERED] = figures("ids that deduplication remembers")
[FIXED] = figures("fixed time of a batch")
BUSIEST = Fraction(max(TYPE_WEIGHTS.values()), sum(TYPE_WEIGHTS.values()))


def rounded(value: Fraction) -> str:
    """A number of busy cores as the page shows it."""
    digits = 2 if value < 1 else 1 if value < 10 else 0
    return f"{float(value):.{digits}f}"


def on_disk(size: Fraction) -> str:
    """Bytes as the page shows them."""
    value, unit = (size / TERABYTE, "TB") if size >= TERABYTE else (size / GIGABYTE, "GB")
    return f"{float(value):,.{1 if value < 10 else 0}f} {unit}"


def test_busy_cores_and_disks_follow_from_what_was_measured() -> None:
    for row, cost in {
        "Spark: read": SPARK * 2 / 5,
        "Spark: deduplicate": SPARK / 4,
        "Spark: write": SPARK * 3 / 10,
        "Spark, all": SPARK,
        "Cassandra, one copy": CASSANDRA,
        "aggregates, Kafka, driver": AGGREGATES + KAFKA + DRIVER,
    }.items():
        assert cells(row) == [rounded(rate * cost * MICROSECOND) for rate in RATES], row
    for row, size in {
        "topic, a day": MESSAGE * DAY,
        "Cassandra, a day": ROWS * DAY,
        "remembered ids, 7 days": REMEMBERED * 7 * DAY,
    }.items():
        assert cells(row) == [on_disk(rate * size) for rate in RATES], row
    of_a_ticket = SPARK + CASSANDRA + AGGREGATES + KAFKA + DRIVER
    assert f"{of_a_ticket} µs for a ticket" in PAGE
    assert f"one core has {round(float(1 / of_a_ticket / MICROSECOND), -2):,.0f} tickets" in PAGE


def test_deployment_follows_from_the_assumptions() -> None:
    busy = figures("cores are busy for")[0] / 100
    [copies] = figures("copies in Kafka")
    on_topic, in_cassandra, of_ids = figures("kept on the topic")
    of_an_executor, of_a_node, terabytes = figures("an executor; a node")
    filled = figures("disks are filled to")[0] / 100
    an_hour, a_month = figures("a core for an hour")
    [hours] = map(int, re.findall(r"of (\d+) in a month", PAGE))

    expected: dict[str, list[str]] = {}
    for rate in RATES:
        spark = ceil(rate * SPARK * MICROSECOND / busy)
        kafka = max(3, ceil(rate * KAFKA * copies * MICROSECOND / busy))
        cassandra = ceil(rate * CASSANDRA * copies * MICROSECOND / busy)
        others = ceil(rate * (AGGREGATES + DRIVER) * MICROSECOND / busy)
        topic = rate * MESSAGE * DAY * on_topic * copies
        rows = rate * ROWS * DAY * in_cassandra * copies
        ids = rate * REMEMBERED * DAY * of_ids
        disks = (topic + rows + ids) / filled / GIGABYTE * a_month
        by_cores = ceil(cassandra / of_a_node)
        by_disks = ceil(rows / (terabytes * TERABYTE * filled))
        # A node is paid for with all of its cores, busy or not.
        nodes = max(int(copies), by_cores, by_disks)
        cores = (spark + kafka + nodes * of_a_node + others) * an_hour * hours
        shards = ceil(rate * 3600 / 4 / MOST_ROWS)
        beyond = f": more than the {MOST_SHARDS:,} that can be set" if shards > MOST_SHARDS else ""
        for row, cell in {
            "Spark: cores": f"{spark}; {ceil(spark / of_an_executor)}",
            "partitions of the topic and": f"{max(3, spark)}",
            "Kafka: cores": f"{kafka}",
            "Cassandra: cores": f"{cassandra}",
            "aggregates and driver": f"{others}",
            # An hour of four teams, 100,000 rows in each shard.
            "shards of `tickets_by_team` |": f"{shards:,}{beyond}",
            "disks: topic": on_disk(topic),
            "disks: Cassandra": on_disk(rows),
            "disks: remembered ids": on_disk(ids),
            "nodes of Cassandra": f"{by_cores}; {by_disks}; {nodes}",
            "a month: cores": f"${float(cores):,.0f}; ${float(disks):,.0f}",
        }.items():
            expected.setdefault(row, []).append(cell)

    assert {row: cells(row) for row in expected} == expected
    # Of the last column, 1,000,000 tickets a second.
    large = (spark + kafka + nodes * 16 + others) * an_hour * hours
    assert f"with 16 cores each, cores would be ${float(large):,.0f}" in PAGE
    assert f"want {nodes} nodes at 1,000,000/s, of which {by_cores} could do the work" in PAGE


def test_page_begins_with_the_first_limit_and_what_two_cores_took() -> None:
    first, _, _ = PAGE.partition("## What was measured")
    limit = MOST_ROWS / (3600 * BUSIEST)

    assert first.splitlines()[2].startswith(f"**About {float(limit):.0f} tickets a second")
    assert f"{float(BUSIEST):.0%}".replace("%", " %") in first
    assert cells(f"{float(limit):.0f}/s")[0] == "a partition of `tickets_by_team`"
    assert f"busiest one wants {ceil(1000 / limit)} at 1,000/s" in PAGE
    spark, cassandra = cells("Spark: cores")[-1], cells("Cassandra: cores")[-1]
    assert f"{spark.partition(';')[0]} cores of Spark and {cassandra} of Cassandra" in first
    # Cores cost less than disks in every column but the first.
    costs = [re.findall(r"\$([\d,]+)", cell) for cell in cells("a month: cores")]
    of_both = [[int(text.replace(",", "")) for text in each] for each in costs]
    assert [cores < disks for cores, disks in of_both] == [False, True, True, True]
    assert {int(10 * disks / (cores + disks)) for cores, disks in of_both[1:]} == {7}
    assert "from 10,000/s on disks\ntake seven tenths of the money" in PAGE


def test_limits_follow_from_the_settings_and_the_figures() -> None:
    of_busiest, of_equal = (
        float(MOST_SHARDS * MOST_ROWS / (3600 * share)) for share in (BUSIEST, Fraction(1, 4))
    )
    why = cells(f"{round(of_busiest, -2):,.0f}/s")[1]
    assert f"the setting ends at {MOST_SHARDS:,}" in why
    assert f"of equal size from {round(of_equal, -3):,.0f}/s on" in why
    most = Settings.model_fields["max_records_per_batch"].default
    full = f"{round(float(most / FIXED), -3):,.0f}/s"
    assert cells(full)[0] == f"`MAX_RECORDS_PER_BATCH` of {most:,}"
    # The fixed time is then a fifth of the batch's.
    assert f"{float(5 * FIXED):.1f} million records make the fixed time a fifth" in PAGE


def test_fixed_time_of_a_batch_stands_where_the_page_says() -> None:
    performance = (PROJECT_ROOT / "docs/performance.md").read_text()
    sums = [Fraction(0), Fraction(0)]
    for row in ("all of it", "between two batches"):
        [line] = [line for line in performance.splitlines() if line.startswith(f"| {row}")]
        for column, cell in enumerate(line.strip("|").split("|")[1:]):
            sums[column] += Fraction(cell.strip()) / 1000

    small, large = (f"{float(each):.2f}" for each in sums)
    assert float(FIXED) == float(large)
    assert f"take {small} s |" in PAGE


def test_rate_of_two_cores_is_the_committed_measurement_and_linked_wherever_it_stands() -> None:
    rows = json.loads((PROJECT_ROOT / "docs/benchmarks/bench.json").read_text())["rows"]
    [whole] = [row for row in rows if row["name"] == "whole pipeline, every guarantee"]
    shown = f"{round(whole['median'], -2):,.0f}"

    assert shown == "12,800"
    text = " ".join(PAGE.split())
    # The third is the border of what is paper, below the link.
    assert text.count(shown) == 3
    assert len(re.findall(rf"{shown}[^|]{{0,70}}\]\(performance\.md#throughput\)", text)) == 2
    assert f"{whole['ratio']:.2f} times the baseline" in text


def test_what_no_run_has_shown_is_marked_as_paper() -> None:
    [breaks] = re.findall(r"## What breaks first\n\n(.*?)\n\n", PAGE, re.DOTALL)
    _, _, *rows = breaks.splitlines()
    assert len(rows) == 6
    for row in rows:
        assert "**paper**" in row.strip("|").split("|")[-1]
    assert "| 100,000/s (paper) | 1,000,000/s (paper) |" in PAGE
    assert "| **paper** | for 1,000/s |" in PAGE
