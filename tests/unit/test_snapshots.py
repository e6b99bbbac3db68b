"""Snapshots: what the files sink remembers of an aggregate, over all days."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import datasketches
import pytest

from errors import SinkRejected
from spark_jobs.aggregates import Aggregate, average, count, day, distinct, maximum, total
from spark_jobs.changes import Change
from spark_jobs.sinks.files.manifest import Manifest, load_manifest, manifest_path
from spark_jobs.targets import Snapshot

ORDERS = Aggregate(
    "orders",
    (day("at"), "country"),
    {
        "count": count(),
        "revenue": total("amount"),
        "mean": average("amount"),
        "last": maximum("at"),
        "buyers": distinct("customer"),
    },
)
EVERY = Snapshot("orders", ORDERS, tuple(ORDERS.measures))
BY_COUNTRY = Snapshot("by_country", ORDERS, ("country", *ORDERS.measures), "country")
FIRST, LAST = datetime(2026, 11, 21, 9, tzinfo=UTC), datetime(2026, 11, 22, 9, tzinfo=UTC)


def change(on: str, country: str, amount: str, at: datetime, *buyers: str) -> Change:
    sketch = datasketches.hll_sketch(14, datasketches.tgt_hll_type.HLL_8)
    for buyer in buyers:
        sketch.update(buyer)
    values = {
        **{"count": len(buyers), "revenue": Decimal(amount), "last": at},
        **{"mean_sum": Decimal(amount), "mean_count": len(buyers)},
        "buyers_sketch": bytes(sketch.serialize_compact()),
    }
    labels = {"day": on, "country": country}
    return Change("orders", f"{on}|{country}", labels, values, ORDERS)


BATCH = [
    change("2026-11-21", "FR", "10.50", FIRST, "A", "B"),
    change("2026-11-22", "FR", "-0.50", LAST, "B", "C"),
    change("2026-11-22", "DE", "3.00", FIRST, "A"),
    Change("others", "x", {}, {"count": 5}, Aggregate("others", (), {"count": count()})),
]


class Files:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, path: str) -> bytes:
        assert path == manifest_path("orders")
        return self.content

    def url(self, path: str) -> str:
        return path


def reloaded(manifest: Manifest) -> Manifest:
    found = load_manifest(Files(manifest.text().encode()), "orders")  # type: ignore[arg-type]
    assert found is not None
    return found


def shown(manifest: Manifest, snapshot: Snapshot) -> list[dict[str, Any]]:
    return [{c: row[c] for c in snapshot.columns} for row in manifest.rows(snapshot)]


def test_days_add_up_and_a_repeated_batch_changes_nothing() -> None:
    manifest = Manifest("orders", ("json",))
    for batch in (0, 0, 1):
        manifest.apply("q", batch, (EVERY, BY_COUNTRY), BATCH)
        manifest = reloaded(manifest)

    assert shown(manifest, EVERY) == [
        {
            **{"count": 10, "revenue": Decimal("26.00"), "mean": Decimal("2.6")},
            **{"last": LAST, "buyers": 3},
        }
    ]
    assert shown(manifest, BY_COUNTRY) == [
        {
            **{"country": "DE", "count": 2, "revenue": Decimal("6.00"), "mean": Decimal(3)},
            **{"last": FIRST, "buyers": 1},
        },
        {
            **{"country": "FR", "count": 8, "revenue": Decimal("20.00"), "mean": Decimal("2.5")},
            **{"last": LAST, "buyers": 3},
        },
    ]


def test_manifest_with_a_damaged_decimal_is_refused() -> None:
    manifest = Manifest("orders", ("json",))
    manifest.apply("q", 0, (EVERY,), BATCH)
    damaged = manifest.text().replace('"13.00"', '"x"').encode()

    with pytest.raises(SinkRejected, match="something else changed it"):
        load_manifest(Files(damaged), "orders")  # type: ignore[arg-type]
