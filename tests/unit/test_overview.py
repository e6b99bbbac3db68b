"""What is seen of a platform: from a real document store, with a broker that answers or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from errors import SinkUnavailable
from local_stack.mongodb import MongoDB
from local_stack.service import ServiceState
from operations.board import board_lines
from operations.overview.as_json import as_json
from operations.overview.collect import Observer, collect
from operations.overview.model import PipelineView
from operations.overview.proof import MOST_FAULTS, forget_proof, keep_proof
from operations.status import show_status
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.ledger import COLLECTION, Counts, Entry, Ledger
from tests.conftest import free_ports

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OFFSETS = {
    "client_tickets": {0: (0, 50), 1: (10, 30), 2: (0, 0)},
    "customers-raw": {0: (0, 50)},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder: Path = tmp_path_factory.mktemp("store")
    (port,) = free_ports(1)
    values = {"millrace_home": folder, "mongo_uri": f"mongodb://127.0.0.1:{port}"}
    settings = load_settings(values | {"kafka_connect_timeout_seconds": 1}, folder / "no.env")
    server = MongoDB(settings)
    server.start()
    try:
        server.wait_ready()
        yield settings
    finally:
        server.stop()


@pytest.fixture
def database(store: Settings) -> Iterator[Database[dict[str, Any]]]:
    with connect_mongodb(store) as client:
        database = confirmed_database(client, store)
        yield database
        for name in database.list_collection_names():
            database.drop_collection(name)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Conditions of the services, which a test may change."""
    conditions = {"kafka": "up", "mongodb": "up"}

    def asked(settings: Settings) -> list[ServiceState]:
        return [
            ServiceState(name, condition == "up", None, "127.0.0.1:1", "1.0", None)
            if condition in {"up", "down"}
            else ServiceState(name, True, 1, "127.0.0.1:1", "1.0", None, silence=condition)
            for name, condition in conditions.items()
        ]

    monkeypatch.setattr("operations.overview.collect.stack.asked_states", asked)
    monkeypatch.setattr("operations.overview.collect.offsets_of", lambda *given: OFFSETS)
    monkeypatch.setattr("operations.overview.collect.SERVICES_EVERY_SECONDS", 0.0)
    return conditions


def entry(batch_id: int, until: int, **counts: Any) -> Entry:
    return Entry(
        pipeline="tickets",
        topic="client_tickets",
        query_id="q",
        batch_id=batch_id,
        offsets={0: (until - 1, until), 1: (0, 5)},
        counts=Counts(**counts),
        sinks=("cassandra", "mongodb"),
        seconds=2.5,
        sink_seconds={"cassandra": 1.25},
    )


FIRST = entry(0, 20, read=5, stored=3, dead_lettered=2, reasons={"missing_request": 2})
SECOND = entry(1, 40, read=4, stored=1, dead_lettered=1, duplicates=2, reasons={"unparseable": 1})


def confirm(database: Database[dict[str, Any]], *entries: Entry) -> None:
    for each in entries:
        Ledger(database, each.pipeline).confirm(each, NOW)


def of(views: tuple[PipelineView, ...], name: str) -> PipelineView:
    return next(view for view in views if view.name == name)


def test_pipeline_shows_sums_last_batches_reasons_and_lag_of_each_partition(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST, SECOND)

    seen = collect(store, history=1)

    tickets = of(seen.pipelines, "tickets")
    assert seen.troubles == ()
    assert tickets.counts == Counts(
        read=9,
        stored=4,
        dead_lettered=3,
        duplicates=2,
        reasons={"missing_request": 2, "unparseable": 1},
    )
    assert tickets.dead_letters == {"missing_request": 2, "unparseable": 1}
    # Offsets 0 to 4 of partition 1 have expired: they are not waiting.
    assert [(p.partition, p.confirmed, p.lag) for p in tickets.partitions] == [
        (0, 40, 10),
        (1, 10, 20),
        (2, 0, 0),
    ]
    assert (tickets.lag, tickets.job, tickets.job_pid) == (30, "not running", None)
    (batch,) = tickets.history
    assert batch == tickets.last_batch
    assert (batch.batch_id, batch.confirmed_at) == (1, NOW)
    assert (batch.seconds, batch.sink_seconds) == (2.5, {"cassandra": 1.25})
    assert batch.rows_per_second == 1.6


def test_second_look_adds_only_what_was_confirmed_since(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST)
    with Observer(store) as observer:
        assert of(observer.look().pipelines, "tickets").counts == FIRST.counts
        # Had it been read again, the sum would be without it.
        database[COLLECTION].update_one({"_id": "q/0"}, {"$set": {"read": 1000}})
        confirm(database, SECOND)

        tickets = of(observer.look().pipelines, "tickets")

    assert tickets.counts == FIRST.counts + SECOND.counts
    assert [batch.batch_id for batch in tickets.history] == [1, 0]


def test_rate_is_what_the_batches_of_the_last_half_minute_read(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    now = datetime.now(UTC)
    ledger = Ledger(database, "tickets")
    # Long ago; 20 s ago, after 10 s of work; now.
    ledger.confirm(replace(FIRST, counts=Counts(read=5000)), now - timedelta(seconds=60))
    slow = replace(FIRST, batch_id=1, counts=Counts(read=200), seconds=10.0)
    ledger.confirm(slow, now - timedelta(seconds=20))
    ledger.confirm(replace(FIRST, batch_id=2, counts=Counts(read=100)), now)

    assert of(collect(store).pipelines, "tickets").rate == pytest.approx(300 / 30, rel=0.1)
    assert of(collect(store).pipelines, "profiles").rate == 0.0


def test_ledger_that_was_reset_meanwhile_is_read_from_its_start(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST, SECOND)
    with Observer(store) as observer:
        observer.look()
        database[COLLECTION].delete_many({})
        assert of(observer.look().pipelines, "tickets").counts == Counts()
        confirm(database, replace(FIRST, query_id="later"))

        tickets = of(observer.look().pipelines, "tickets")

    assert tickets.counts == FIRST.counts
    assert [batch.batch_id for batch in tickets.history] == [0]


def test_part_that_ran_alone_is_shown_instead_of_the_whole(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, replace(FIRST, pipeline="customers-files", topic="customers-raw"))

    views = [each for each in collect(store).pipelines if each.family == "customers"]

    assert [(view.name, view.counts.read) for view in views] == [("customers-files", 5)]


def test_pipeline_of_a_user_is_seen_as_the_built_in_ones_are(
    store: Settings, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = store.model_copy(update={"pipelines_path": PROJECT_ROOT / "examples"})
    monkeypatch.setattr(
        "operations.overview.collect.offsets_of", lambda *_: OFFSETS | {"orders": {0: (0, 25)}}
    )
    confirm(database, replace(FIRST, pipeline="orders", topic="orders"))

    orders = of(collect(own).pipelines, "orders")

    assert (orders.topic, orders.counts, orders.lag) == ("orders", FIRST.counts, 5)


def test_broker_that_is_down_is_a_trouble_and_the_rest_is_shown(
    store: Settings, database: Database[dict[str, Any]], surroundings: dict[str, str]
) -> None:
    confirm(database, FIRST)
    surroundings["kafka"] = "down"

    seen = collect(store)

    assert seen.troubles == ("kafka is down: offsets and lag are unknown.",)
    assert [(each.name, each.condition) for each in seen.services] == [
        ("kafka", "down"),
        ("mongodb", "up"),
    ]
    tickets = of(seen.pipelines, "tickets")
    assert (tickets.counts.read, tickets.partitions) == (5, ())


def test_broker_that_refuses_is_one_trouble_and_asked_by_a_new_client_after_it(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[Any] = []

    def refuse_once(client: Any, *given: Any) -> Any:
        clients.append(client)
        if len(clients) == 1:
            raise SinkUnavailable("Cannot reach Kafka.")
        return OFFSETS

    monkeypatch.setattr("operations.overview.collect.offsets_of", refuse_once)
    with Observer(store) as observer:
        troubles = observer.look().troubles
        assert troubles == ("Cannot reach Kafka. Meanwhile offsets and lag are unknown.",)
        assert observer.look().troubles == ()
    assert clients[0] is not clients[1]


def test_numbers_stay_as_last_seen_while_the_ledger_is_away(
    store: Settings, database: Database[dict[str, Any]], surroundings: dict[str, str]
) -> None:
    confirm(database, FIRST)
    with Observer(store) as observer:
        observer.look()
        surroundings["mongodb"] = "frozen"
        seen = observer.look()

    assert seen.troubles == (
        "mongodb is frozen: batches, dead letters and the last proof are as last seen, or unknown.",
    )
    tickets = of(seen.pipelines, "tickets")
    assert (tickets.counts, tickets.lag) == (FIRST.counts, 50)


def test_no_lag_is_claimed_before_the_ledger_was_read(
    store: Settings, database: Database[dict[str, Any]], surroundings: dict[str, str]
) -> None:
    surroundings["mongodb"] = "down"
    tickets = of(collect(store).pipelines, "tickets")
    assert (tickets.partitions, tickets.is_known) == ((), False)


def test_damaged_entry_is_a_trouble_of_its_pipeline_alone(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST, replace(FIRST, pipeline="profiles", query_id="p", topic="u"))
    database[COLLECTION].update_one({"_id": "q/0"}, {"$unset": {"offsets": ""}})

    seen = collect(store)
    (trouble,) = seen.troubles
    assert trouble.startswith("The ledger entry `q/0` in MongoDB's `batches` cannot be read")
    assert of(seen.pipelines, "profiles").counts == FIRST.counts


def test_damaged_reasons_of_an_entry_hide_nothing_else(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST, SECOND)
    database[COLLECTION].update_one({"_id": "q/0"}, {"$set": {"reasons": ["unparseable"]}})

    seen = collect(store)
    assert seen.troubles == ()
    counts = replace(FIRST.counts + SECOND.counts, reasons={"unparseable": 1})
    assert of(seen.pipelines, "tickets").counts == counts


def prove(database: Any, faults: Sequence[str] = (), pipelines: Any = ("tickets",)) -> None:
    keep_proof(database, faults, verified=not faults, pipelines=pipelines, now=NOW)


def test_overview_as_json_has_what_follows_from_it_too(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST)
    prove(database)

    written = json.loads(json.dumps(as_json(collect(store))))

    tickets = next(each for each in written["pipelines"] if each["name"] == "tickets")
    assert (tickets["lag"], tickets["counts"]["read"]) == (50, 5)
    assert tickets["partitions"][0] == {
        "topic": "client_tickets",
        "partition": 0,
        "first": 0,
        "end": 50,
        "confirmed": 20,
        "lag": 30,
    }
    (batch,) = tickets["history"]
    assert (batch["rows_per_second"], batch["sink_seconds"]) == (2.0, {"cassandra": 1.25})
    assert written["proof"]["ended_at"] == "2026-11-28T12:00:00.000Z"


def test_status_shows_what_each_partition_waits_for_and_the_last_proof(
    store: Settings, database: Database[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    # Two parts on one topic: it is read as far as the slower one has.
    slow, fast = replace(FIRST, pipeline="customers-files"), replace(SECOND, query_id="f")
    confirm(database, slow, replace(fast, pipeline="customers-postgres"))
    prove(database, ["tickets: lost"])

    show_status(store.model_copy(update={"sinks": ("mongodb",)}))

    shown = capsys.readouterr().out
    rows = [line.replace(" ", "").split("│")[1:-1] for line in shown.splitlines()]
    assert ["customers-raw", "0", "0", "50", "20", "30"] in rows
    assert "Last `make verify`, 2026-11-28 12:00:00Z: NOT verified" in shown
    assert "There is no topic `users_profiles`. `make up` creates it." in shown


@pytest.mark.parametrize(
    "harm",
    [
        {"updated_at": "now"},
        {"seconds": "2", "sink_seconds": {"files": "1", "cassandra": 1.25}},
        {"seconds": float("inf"), "sink_seconds": "1"},
    ],
)
def test_damaged_times_cost_no_more_than_themselves(
    store: Settings, database: Database[dict[str, Any]], harm: dict[str, Any]
) -> None:
    confirm(database, FIRST)
    database[COLLECTION].update_one({"_id": "q/0"}, {"$set": harm})

    seen = collect(store)

    tickets = of(seen.pipelines, "tickets")
    assert (seen.troubles, tickets.counts, tickets.lag) == ((), FIRST.counts, 50)
    assert board_lines(seen)
    assert json.dumps(as_json(seen))
    if "seconds" in harm:
        (batch,) = tickets.history
        assert batch.seconds is None
        assert {"files"}.isdisjoint(batch.sink_seconds)


def test_last_proof_is_kept_until_the_data_is_deleted(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    assert collect(store).proof is None
    prove(database, [f"fault {n}" for n in range(MOST_FAULTS + 2)])
    proof = collect(store).proof

    assert proof is not None
    assert (proof.ended_at, proof.verified) == (NOW, False)
    assert (proof.faults[0], len(proof.faults)) == ("fault 0", MOST_FAULTS + 1)
    assert proof.faults[-1] == "… and 2 more, which `make verify` lists"

    prove(database)
    shown = as_json(collect(store).proof)
    assert (shown["verified"], shown["faults"]) == (True, [])
    forget_proof(database)
    assert collect(store).proof is None


def test_proof_of_one_pipeline_hides_no_fault_of_another(
    store: Settings, database: Database[dict[str, Any]]
) -> None:
    confirm(database, FIRST, replace(SECOND, pipeline="orders", query_id="o"))
    prove(database, ["tickets: 1 lost"])

    prove(database, pipelines={"orders"})
    assert as_json(collect(store).proof)["faults"] == ["tickets: 1 lost"]
    prove(database, pipelines={"orders", "tickets"})
    assert as_json(collect(store).proof)["verified"] is True


@pytest.mark.parametrize("harm", [{"ended_at": "soon"}, {"faults": None}])
def test_proof_that_something_else_changed_is_none(
    store: Settings, database: Database[dict[str, Any]], harm: dict[str, Any]
) -> None:
    prove(database)
    database["proofs"].update_one({}, {"$set": harm})

    assert (collect(store).proof, collect(store).troubles) == (None, ())
