"""A platform made by hand, for the dashboard: two pipelines, at any size, with any trouble."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.live import LiveSource
from dashboard.source import Bar, Chart, Declared, LedgerHistory
from errors import MillraceError, SinkUnavailable
from operations.masking import MASK
from operations.overview.model import (
    BatchView,
    Overview,
    PartitionView,
    PipelineView,
    ProofView,
    ServiceView,
)
from operations.overview.records import (
    KeyColumn,
    LetterPage,
    LetterView,
    RecordTable,
    Row,
    RowPage,
)
from operations.trace.model import (
    Arrival,
    BatchOf,
    Letter,
    RecordTrace,
    StoredRow,
    Trace,
)
from spark_jobs.aggregates import Aggregate, average, count, day, distinct, hour, total
from spark_jobs.state.ledger import Counts

ADDRESS = "http://127.0.0.1:8484"
NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
BY_COUNTRY = Aggregate(
    "orders_by_country",
    by=("country",),
    measures={"count": count(), "revenue": total("amount"), "customers": distinct("customer_id")},
)
BY_DAY = Aggregate(
    "orders_by_day",
    by=(day("created_at"), "status"),
    measures={"count": count(), "average_amount": average("amount")},
)
ORDER_METRICS = Aggregate(
    "order_metrics", measures={"orders": count(), "average_amount": average("amount")}
)
BY_HOUR = Aggregate("readings_by_hour", by=(hour("at"),), measures={"count": count()})
COUNTRIES = {"France": 38, "Belgium": 21, "Spain": 17, "Italy": 12, "Portugal": 7, "Malta": 5}
STATES = {"paid": 60, "shipped": 25, "open": 15}
BY_STATUS = RecordTable(
    "orders.orders_by_status",
    "orders",
    (KeyColumn("status", "text", ("open", "paid", "shipped")), KeyColumn("created_day", "date")),
    ("status", "created_day", "order_id", "amount", "customer_email", "note"),
    frozenset({"customer_email"}),
    is_listed=True,
)
BY_ID = RecordTable(
    "orders.orders",
    "orders",
    (KeyColumn("order_id", "text"),),
    ("order_id", "amount", "customer_email"),
    frozenset({"customer_email"}),
    is_listed=False,
)


def counts_of(read: int) -> Counts:
    """Counts that add up: 2 % dead letters, 1 % filtered, half a percent duplicates."""
    dead, filtered, duplicates = read // 50, read // 100, read // 200
    stored = read - dead - filtered - duplicates
    reasons = {"missing_country": dead * 3 // 4, "invalid_amount": dead - dead * 3 // 4}
    return Counts(read, stored, dead, filtered, duplicates, stored // 500, reasons)


def batches(pipeline: str, number: int, read: int, end: datetime) -> tuple[BatchView, ...]:
    """Batches two seconds apart, the newest first; their sizes rise and fall."""
    found = []
    for place in range(number):
        share = 0.9 + 0.3 * math.sin(place / 23) + 0.14 * math.sin(place / 3.1) * math.cos(place)
        one = int(read / max(number, 1) * share)
        spent = round(0.5 + 0.6 * share + 0.1 * math.sin(place * 1.7), 3)
        sinks = {
            "cassandra": round(spent * 0.7, 3),
            "mongodb": round(spent * 0.3, 3),
            "files": round(spent * 0.45, 3),
        }
        moment = end - timedelta(seconds=2 * place)
        found.append(BatchView(pipeline, number - place, moment, counts_of(one), spent, sinks))
    return tuple(found)


def overview_of(read: int, now: datetime = NOW, lag: int = 120) -> Overview:
    """Orders and sensors, with so many orders read; nothing at all for 0."""
    number = min(200, read // 10)
    orders = counts_of(read)
    readings = counts_of(read // 4)
    letters = {name: n for name, n in orders.reasons.items() if n}
    parts = tuple(
        PartitionView("orders", p, 0, read // 3 + lag // 3, read // 3 if read else 0)
        for p in range(3)
    )
    return Overview(
        taken_at=now,
        services=(
            ServiceView("kafka", "up", "127.0.0.1:9092", "3.9.2"),
            ServiceView("cassandra", "up", "127.0.0.1:9042", "5.0.9"),
            ServiceView("mongodb", "up", "127.0.0.1:27017", "8.0.26"),
        ),
        pipelines=(
            PipelineView(
                "orders",
                "orders",
                "orders",
                "running" if read else "not running",
                orders,
                batches("orders", number, read, now - timedelta(seconds=1)),
                letters,
                parts if read else tuple(PartitionView("orders", p, 0, 0, 0) for p in range(3)),
                4711 if read else None,
                rate=round(read / 376, 1),
            ),
            PipelineView(
                "sensors",
                "sensors",
                "sensors",
                "not running",
                readings,
                batches("sensors", number // 2, read // 4, now - timedelta(minutes=5)),
                {"invalid_at": readings.dead_lettered} if read else {},
                (PartitionView("sensors", 0, 0, read // 4, read // 4),),
            ),
        ),
        proof=ProofView(now - timedelta(minutes=12), True) if read else None,
    )


def shared(whole: int, shares: Mapping[str, int]) -> dict[str, int]:
    """A number by percentages; what rounding leaves goes to the first."""
    parts = {name: whole * share // 100 for name, share in shares.items()}
    first = next(iter(parts))
    return parts | {first: parts[first] + whole - sum(parts.values())}


@dataclass
class HandMade(LiveSource):
    """A source whose answers tests set; a `fault` is raised in place of any answer of a store."""

    seen: Overview = field(default_factory=lambda: overview_of(2_000))
    fault: MillraceError | None = None
    looks: int = 0
    closed: bool = False
    declared: Mapping[str, Declared] = field(
        default_factory=lambda: {
            "orders": Declared(
                "orders", (BY_DAY, BY_COUNTRY, ORDER_METRICS), ("order_id",), ("orders-files",)
            ),
            "sensors": Declared("sensors", (BY_HOUR,), ("sensor_id",)),
        }
    )
    tables: Mapping[str, RecordTable] = field(
        default_factory=lambda: {each.place: each for each in (BY_ID, BY_STATUS)}
    )

    def follow(self) -> None:
        """Its pipelines are in no folder."""

    def overview(self) -> Overview:
        self.looks += 1
        self._may_fail()
        return self.seen

    def chart(self, aggregate: Aggregate, measure: str) -> Chart:
        self._may_fail()
        stored = self.seen.pipelines[0].counts.stored
        if not stored:
            kind = "figures" if aggregate is ORDER_METRICS else "bars"
            return Chart(aggregate.name, measure, kind)
        if aggregate is ORDER_METRICS:
            figures = {"orders": stored, "average_amount": 41.5}
            return Chart(aggregate.name, measure, "figures", figures=figures)
        if aggregate is BY_COUNTRY:
            factor = 40 if measure == "revenue" else 1
            bars = tuple(Bar(n, whole * factor) for n, whole in shared(stored, COUNTRIES).items())
            added = sum(bar.value for bar in bars) if measure != "customers" else None
            return Chart(aggregate.name, measure, "bars", bars=bars, total=added, groups=6)
        if aggregate is BY_HOUR:
            times = tuple(f"2026-11-{27 + h // 24:02}T{h % 24:02}" for h in range(36))
            line = tuple(stored // 400 + (h * 5) % 17 for h in range(36))
            return Chart(
                aggregate.name,
                measure,
                "lines",
                total=sum(line),
                unit="hour",
                times=times,
                lines={"count": line},
            )
        times = tuple(f"2026-11-{d:02}" for d in range(1, 29))
        wave = [1 + 0.3 * math.sin(d / 3) + (0.15 if d % 7 else -0.25) for d in range(28)]
        lines = {}
        for name, whole in shared(stored, STATES).items():
            line = [int(whole / sum(wave) * each) for each in wave]
            lines[name] = (*line[:-1], whole - sum(line[:-1]))
        if measure == "average_amount":
            lines = {n: tuple(40 + d / 7 for d in range(28)) for n in STATES}
            return Chart(aggregate.name, measure, "lines", groups=3, times=times, lines=lines)
        bars = tuple(Bar(name, sum(line)) for name, line in lines.items())
        added = sum(bar.value for bar in bars)
        return Chart(aggregate.name, measure, "lines", {}, bars, added, 3, "day", times, lines)

    def history(self, pipeline: str) -> LedgerHistory:
        self._may_fail()
        views = {view.name: view for view in self.seen.pipelines}
        read = views[pipeline].counts.read if pipeline in views else 0
        if not read:
            return LedgerHistory()
        wave = [1 + 0.4 * math.sin(place / 9) for place in range(96)]
        parts = [counts_of(int(read / 96 * each)) for each in wave]
        names = ("stored", "dead_lettered", "filtered", "duplicates")
        return LedgerHistory(
            seconds=900,
            batches=9_600,
            times=tuple(NOW.timestamp() - 900 * (95 - place) for place in range(96)),
            lines={name: tuple(getattr(part, name) for part in parts) for name in names},
        )

    def partitions(self, table: RecordTable) -> tuple[list[Row], bool]:
        self._may_fail()
        days = ("2026-11-26", "2026-11-27", "2026-11-28") if self.seen.proof else ()
        keys = [{"status": s, "created_day": d} for d in days for s in ("open", "paid", "shipped")]
        return (keys if table.is_listed else []), False

    def rows(self, table: RecordTable, key: Mapping[str, str], page: str | None) -> RowPage:
        self._may_fail()
        if {*key} != {each.name for each in table.key}:
            raise MillraceError(f"The rows of {table.place} are found by all of its key.")
        start = int(page or 0)
        rows = tuple(
            {
                **key,
                "order_id": f"A-{n:05}",
                "amount": 10 + n,
                "customer_email": MASK,
                "note": "<script>alert(1)</script>" if n == 1 else None,
            }
            for n in range(start, min(start + 50, 80))
        )
        return RowPage(rows, "50" if start == 0 else None)

    def dead_letters(
        self, pipeline: str | None, reason: str | None, page: str | None
    ) -> LetterPage:
        self._may_fail()
        known = self.seen.pipelines[0].dead_letters
        letters = [
            LetterView(
                f"orders/{n % 3}/{100 + n}",
                "orders",
                NOW - timedelta(seconds=n),
                ("missing_country",) if n % 4 else ("invalid_amount", "missing_country"),
                f'{{"order_id": "A-{n:05}", "email": "{MASK}", "amount": "many"}}'
                if n != 2
                else None,
                None if n != 2 else "The broker no longer has the message on `orders`.",
            )
            for n in range(8 if known else 0)
        ]
        chosen = [x for x in letters if pipeline in (None, x.pipeline)]
        chosen = [x for x in chosen if reason is None or reason in x.reasons]
        return LetterPage(tuple(chosen), None if page or reason else "orders/1/106")

    def trace(self, asked: str) -> Trace:
        self._may_fail()
        if asked == "never":
            record = RecordTrace("orders", "orders", asked, searched=("Cassandra: no row.",))
            return Trace(asked, NOW, (record,))
        first = Arrival(
            "orders/0/41",
            NOW - timedelta(hours=1),
            "stored",
            "The first with this id, so it is the one that is stored.",
            value=f'{{"order_id": "{asked}", "customer": {{"email": "{MASK}"}}, "amount": 12.5}}',
            batches=(BatchOf("orders", 7, NOW, ("cassandra", "mongodb", "files")),),
        )
        second = replace(
            first, source="orders/2/77", outcome="duplicate", why="The id came before."
        )
        third = Arrival(
            "orders/1/90",
            NOW,
            "rejected",
            "It breaks the contract.",
            ("missing_country",),
            absent="The broker no longer has the message.",
            letter=Letter("orders-dead-letter", ("missing_country",), "redriven", "orders/1/95"),
        )
        values: dict[str, Any] = {"order_id": asked, "amount": 12.5, "customer_email": MASK}
        rows = (
            StoredRow("Cassandra", "orders.orders", values, "orders/0/41"),
            StoredRow("PostgreSQL", "orders", values, "orders/0/41"),
        )
        searched = ("The messages of the last 7 days.", "Cassandra by its key.")
        record = RecordTrace(
            "orders", "orders", asked, (first, second, third), rows, searched, ("files: a scan.",)
        )
        return Trace(asked, NOW, (record,))

    def close(self) -> None:
        self.closed = True

    def lose(self, service: str) -> None:
        """A service that stops: its state, and the sentence of the collector."""
        services = tuple(
            replace(s, condition="down") if s.name == service else s for s in self.seen.services
        )
        trouble = f"{service} is down: what it holds is as last seen."
        self.seen = replace(self.seen, services=services, troubles=(trouble,))
        self.fault = None

    def _may_fail(self) -> None:
        if self.fault:
            raise self.fault


def text_of(html: str) -> str:
    """What a page says, without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def away(store: str) -> SinkUnavailable:
    """The error of a store that does not answer."""
    return SinkUnavailable(f"{store} does not answer. `make status` shows whether it is up.")
