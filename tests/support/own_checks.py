"""What stores hold of the example pipelines, compared with what was worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from operations.pipelines import read_topic
from operations.verify.accounts import take_accounts
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.sinks.mongodb import from_bson
from spark_jobs.state.ledger import Counts
from tests.support.own_pipelines import example
from tests.support.own_records import AT, HOUR, MINUTE, OF_ORDERS, OF_READINGS, orders, readings
from tests.support.pipelines import MakeWorld
from tests.support.tampered_files import NAMED_FILE
from tests.support.world import Message, World

ALL = ("cassandra", "files", "postgres", "mongodb")
Documents = dict[str, dict[str, dict[str, Any]]]
MORNING = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=AT)


@dataclass(frozen=True)
class Own:
    """A user's pipeline with messages of every kind, and what must become of them.

    Attributes:
        name: Its folder.
        messages: All on partition 0; the argument makes ids of their own.
        counts: The ledger's after them.
        ids: Its ids that are stored, as SQL's `|`-joined ones.
        forwarded: Topic -> offsets of the messages that are forwarded.
        documents: The aggregates without the platform's own fields.
    """

    name: str
    messages: Callable[[], list[Message]]
    counts: Counts
    ids: frozenset[str]
    forwarded: frozenset[int]
    documents: Documents

    def pipeline(self) -> Pipeline:
        """The example."""
        return example(self.name)


def _revenue(count: int, revenue: str, largest: str, average: str) -> dict[str, Any]:
    return {
        "count": count,
        "revenue": Decimal(revenue),
        "largest": Decimal(largest),
        "average_amount": Decimal(average),
        "average_amount_sum": Decimal(revenue),
        "average_amount_count": count,
    }


def _hour(sensor: str, hour: str, *celsius: float, humidity: float | None) -> dict[str, Any]:
    of_humidity = 0 if humidity is None else 1
    return {
        "sensor_id": sensor,
        "hour": hour,
        "count": len(celsius),
        "coldest": min(celsius),
        "warmest": max(celsius),
        "average_temperature": sum(celsius) / len(celsius),
        "average_temperature_sum": sum(celsius),
        "average_temperature_count": len(celsius),
        "average_humidity": humidity,
        "average_humidity_sum": humidity or 0,
        "average_humidity_count": of_humidity,
    }


def _state(day: str, state: str, count: int, battery: tuple[int | None, int], last: int) -> Any:
    lowest, total = battery
    return {
        "day": day,
        "state": state,
        "count": count,
        "sensors": 1,
        "lowest_battery": lowest,
        "battery_sum": total,
        "last_at": MORNING + timedelta(milliseconds=last),
    }


ORDERS: Final = Own(
    "orders",
    orders,
    OF_ORDERS,
    frozenset("ABCD"),
    frozenset({1}),
    {
        "orders_by_currency": {
            "2026-11-22|EUR": {"day": "2026-11-22", "currency": "EUR"}
            | _revenue(2, "101.00", "100.10", "50.50"),
            "2026-11-22|GBP": {"day": "2026-11-22", "currency": "GBP"}
            | _revenue(1, "20000.00", "20000.00", "20000.00"),
        },
        "orders_by_country": {
            "ES": {"country": "ES", "count": 2, "express": 1, "customers": 2},
            "GB": {"country": "GB", "count": 1, "express": 0, "customers": 1},
            "unknown": {"country": "unknown", "count": 1, "express": 0, "customers": 1},
        },
    },
)
SENSORS: Final = Own(
    "sensors",
    readings,
    OF_READINGS,
    frozenset(
        {
            "roof-1|2026-11-22T10:15:00.000Z",
            "roof-1|2026-11-22T10:16:00.000Z",
            "yard-1|2026-11-22T11:15:00.000Z",
            "oven-1|2026-11-23T10:15:00.000Z",
        }
    ),
    frozenset(),
    {
        "readings_by_hour": {
            "roof-1|2026-11-22T10": _hour("roof-1", "2026-11-22T10", 11.5, 12.25, humidity=60.5),
            "yard-1|2026-11-22T11": _hour("yard-1", "2026-11-22T11", -4.125, humidity=60.5),
            "oven-1|2026-11-23T10": _hour("oven-1", "2026-11-23T10", 182.75, humidity=60.5),
        },
        "readings_by_state": {
            "2026-11-22|ok": _state("2026-11-22", "ok", 2, (97, 195), MINUTE),
            "2026-11-22|fault": _state("2026-11-22", "fault", 1, (9, 9), HOUR),
            "2026-11-23|fault": _state("2026-11-23", "fault", 1, (None, 0), 24 * HOUR),
        },
    },
)
EXAMPLES: Final = (ORDERS, SENSORS)


def own_world(make_world: MakeWorld, own: Own) -> World:
    """A world of the example with every sink."""
    world = make_world(own.pipeline())
    return replace(world, settings=world.settings.model_copy(update={"sinks": ALL}))


def assert_stored(world: World, own: Own) -> None:
    """Every record is in every store once, and every aggregate as worked out by hand."""
    assert world.totals() == own.counts
    for place, ids in stored_ids(world, own).items():
        assert ids == sorted(own.ids), place
    assert documents(world) == own.documents
    assert forwarded(world) == own.forwarded
    letters = {(h["source_partition"], h["source_offset"]) for _, _, h in world.dead_letters()}
    assert len(letters) == len(world.documents("dead_letters")) == own.counts.dead_lettered


def stored_ids(world: World, own: Own) -> dict[str, list[str]]:
    """Ids of the rows of each table of Cassandra and PostgreSQL, and of the first set of files."""
    pipeline, names = world.pipeline, own.pipeline().id_columns
    columns = ", ".join(names)
    found: dict[str, list[Any]] = {
        table.place: [[row[name] for name in names] for row in world.rows(table.name)]
        for table in pipeline.tables
    }
    for table in pipeline.sql_tables:
        found[f"postgres.{table.name}"] = world.sql(f"SELECT {columns} FROM {table.name}")
    files = read_set(world.spark, world.settings, pipeline.file_sets[0], "parquet")
    found["files"] = [
        [row[name] for name in names] for row in files.select(*names).toLocalIterator()
    ]
    return {
        place: sorted("|".join(map(_text, each)) for each in ids) for place, ids in found.items()
    }


def _text(value: Any) -> str:
    if not isinstance(value, datetime):
        return str(value)
    # Cassandra's driver and Spark give UTC without a zone.
    moment = value if value.tzinfo is None else value.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def documents(world: World) -> Documents:
    """The aggregates, with numbers as Python adds them up, less what differs from run to run."""
    return {
        name: {
            key: {
                field: value
                for field, value in from_bson(document).items()
                if field not in {"_id", "updated_at", "applied"} and not field.endswith("_sketch")
            }
            for key, document in world.documents(name).items()
        }
        for name in world.pipeline.collections
    }


def forwarded(world: World) -> set[int]:
    """Offsets of the source messages that the forward topics name."""
    return {
        int(dict(message.headers())["source_offset"])
        for name in world.pipeline.forward_topics(world.settings)
        for message in read_topic(world.settings, name)
    }


def faults_of(world: World) -> list[str]:
    """What `make verify` finds; the names of files, which are new in each run, are left out."""
    (account,) = take_accounts(world.settings, world.database, world.spark, [world.pipeline])
    return [NAMED_FILE.sub("", fault) for fault in account.faults]
