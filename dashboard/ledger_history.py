"""Reads a pipeline's ledger as sums over time: many batches in few points."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Final

from pymongo.collection import Collection
from pymongo.database import Database

from dashboard.figures import in_utc
from dashboard.flow import OUTCOMES
from dashboard.source import LedgerHistory
from spark_jobs.state.ledger import COLLECTION, Document

# Of a ledger that may have many more.
MOST_BATCHES: Final = 20_000
MOST_POINTS: Final = 120
# From ten seconds to four weeks.
WIDTHS: Final = (10, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800, 2_419_200)


def read_history(
    database: Database[Document], pipeline: str, most: int = MOST_BATCHES
) -> LedgerHistory:
    """The messages of the last batches by outcome, added up over equal spans of time."""
    collection = database[COLLECTION]
    newest = _entry(collection, {"pipeline": pipeline}, -1)
    if newest is None:
        return LedgerHistory()
    during = {"pipeline": pipeline, "batch_id": {"$gt": newest["batch_id"] - most}}
    oldest = _entry(collection, during, 1) or newest
    first, last = (in_utc(entry["updated_at"]).timestamp() for entry in (oldest, newest))
    width = next((w for w in WIDTHS if (last - first) / w < MOST_POINTS - 1), WIDTHS[-1])
    # Points begin at full minutes, hours, days.
    start = int(first // width * width)
    length = max(int((last - start) // width) + 1, 1)
    origin = in_utc(oldest["updated_at"]).astimezone(UTC)
    origin -= timedelta(seconds=origin.timestamp() - start)
    since = {"$divide": [{"$subtract": ["$updated_at", origin]}, width * 1000]}
    sums = {outcome: {"$sum": f"${outcome}"} for outcome in OUTCOMES}
    lines = {outcome: [0] * length for outcome in OUTCOMES}
    batches = 0
    group = {"_id": {"$floor": since}, "batches": {"$sum": 1}, **sums}
    for found in collection.aggregate([{"$match": during}, {"$group": group}]):
        batches += found["batches"]
        # A clock that was set back gives an entry before the oldest one.
        place = min(max(int(found["_id"]), 0), length - 1)
        for outcome, line in lines.items():
            line[place] += found[outcome]
    return LedgerHistory(
        seconds=width,
        batches=batches,
        times=tuple(float(start + width * n) for n in range(length)),
        lines={outcome: tuple(line) for outcome, line in lines.items()},
    )


def _entry(collection: Collection[Document], wanted: Document, order: int) -> Document | None:
    fields = {"batch_id": 1, "updated_at": 1}
    return collection.find_one(wanted, fields, sort=[("batch_id", order)])
