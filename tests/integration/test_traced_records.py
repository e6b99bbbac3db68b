"""`millrace trace`, `report` and pages of records on a real platform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from operations.dead_letters.dead_letters import run_dead_letters
from operations.masking import MASK
from operations.options import build_parser
from operations.overview.records import (
    dead_letter_page,
    partitions,
    record_page,
    record_tables,
)
from operations.overview.stores import OpenStores
from operations.report.report import report
from operations.trace.find import Limits, find
from operations.trace.model import RecordTrace
from operations.trace.trace import trace
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.profiles import PROFILES
from spark_jobs.sources.broker import kafka_admin
from tests.support.builders import profile
from tests.support.own_checks import ALL, ORDERS, SENSORS, own_world
from tests.support.pipelines import MakeWorld
from tests.support.world import World


@pytest.fixture(scope="module")
def filled(shared_worlds: MakeWorld) -> World:
    """Orders of every kind in every sink; all on partition 0, in the order of `orders`."""
    world = own_world(shared_worlds, ORDERS)
    world.send(*ORDERS.messages(), partition=0)
    world.process()
    return world


def traced(world: World, asked: str, messages: int = 1000) -> RecordTrace:
    with OpenStores(world.settings) as stores:
        (record,) = find(stores, asked, [world.pipeline], Limits(messages)).records
    return record


def outcomes(record: RecordTrace) -> dict[int, str]:
    """Offset -> outcome; all are on partition 0."""
    return {int(each.source.rpartition("/")[2]): each.outcome for each in record.arrivals}


def test_alert_is_found_in_every_store_and_on_its_topic(filled: World) -> None:
    record = traced(filled, "B")

    assert outcomes(record) == {1: "stored"}
    places = [(row.store, row.place.partition("/")[0]) for row in record.rows]
    assert places == [
        ("Cassandra", f"{filled.keyspace}.orders"),
        ("Cassandra", f"{filled.keyspace}.orders_by_status"),
        ("PostgreSQL", "orders"),
        ("files", "orders"),
        ("Kafka", f"{filled.keyspace}-orders-large"),
    ]
    assert {row.source for row in record.rows} == {f"{filled.topic}/0/1", None}
    assert record.not_searched == ()
    (batch,) = record.arrivals[0].batches
    assert batch.batch_id == 0
    assert {*batch.sinks} == {*ALL, "topics"}


def test_each_kind_of_arrival_has_its_outcome(filled: World) -> None:
    # A came twice; T is left out by `keep`, E has too many decimals.
    assert outcomes(traced(filled, "A")) == {0: "stored", 3: "duplicate"}
    assert outcomes(traced(filled, f"{filled.topic}/0/3")) == {0: "stored", 3: "duplicate"}
    assert outcomes(traced(filled, "T")) == {5: "filtered"}
    rejected = traced(filled, "E")
    assert outcomes(rejected) == {6: "rejected"}
    assert rejected.arrivals[0].reasons == ("invalid_amount",)
    assert traced(filled, f"{filled.topic}/0/7").arrivals[0].reasons == ("unparseable",)
    assert not traced(filled, "never").is_found


def test_command_masks_and_its_exit_code_says_whether_anything_was_found(
    filled: World, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [trace(filled.settings, asked, None, 1000, "json") for asked in ("B", "never")]

    first, second = capsys.readouterr().out.split("\n}\n")[:2]
    found, missed = json.loads(first + "}"), json.loads(second + "}")
    assert codes == [0, 1]
    assert (found["found"], missed["found"]) == (True, False)
    (arrival,) = found["records"][0]["arrivals"]
    assert json.loads(arrival["value"])["customer"]["email"] == MASK
    assert "B@example.com" not in first


def test_rows_of_a_partition_come_in_pages(filled: World) -> None:
    tables = record_tables(filled.settings)
    by_status = tables[f"{filled.keyspace}.orders_by_status"]
    with OpenStores(filled.settings) as stores:
        keys, has_more = partitions(stores, by_status)
        paid = next(key for key in keys if key["status"] == "paid")
        first = record_page(stores, by_status, paid, size=1)
        rest = record_page(stores, by_status, paid, size=1, page=first.following)
        by_id = record_page(stores, tables[f"{filled.keyspace}.orders"], {"order_id": "B"})

    assert not has_more
    assert [(key["status"], str(key["created_day"])) for key in keys] == [
        ("new", "2026-11-22"),
        ("paid", "2026-11-22"),
        ("shipped", "2026-11-22"),
    ]
    assert {row["order_id"] for row in (*first.rows, *rest.rows)} == {"A", "D"}
    assert rest.following is None
    assert [row["order_id"] for row in by_id.rows] == ["B"]


def test_dead_letters_come_in_pages_with_their_messages(filled: World) -> None:
    with OpenStores(filled.settings) as stores:
        first = dead_letter_page(stores, "orders", size=1)
        rest = dead_letter_page(stores, "orders", page=first.following)
        some = dead_letter_page(stores, None, "invalid_amount")

    letters = [*first.letters, *rest.letters]
    expected = filled.documents("dead_letters")
    assert [letter.source for letter in letters] == sorted(expected)
    assert all(letter.value is not None for letter in letters)
    assert [letter.source for letter in some.letters] == [f"{filled.topic}/0/6"]
    assert json.loads(str(some.letters[0].value))["customer"]["email"] == MASK


def test_report_has_the_numbers_of_the_ledger(filled: World, stack_settings: Settings) -> None:
    # Where the services note that they are up.
    home = {"millrace_home": stack_settings.millrace_home}
    assert report(filled.settings.model_copy(update=home), None) == 0

    page = Path(filled.settings.output_path, "report.html").read_text()
    data: dict[str, Any] = json.loads(Path(filled.settings.output_path, "report.json").read_text())
    totals = filled.totals()
    (part,) = data["parts"]
    assert part["view"]["counts"]["stored"] == totals.stored
    assert f"{totals.read} messages read" in page
    assert {chart["name"] for chart in part["charts"]} == {*filled.pipeline.collections}
    by_country = next(c for c in part["charts"] if c["name"] == "orders_by_country")
    stored = filled.documents("orders_by_country").values()
    assert by_country["total"] == sum(document["count"] for document in stored)
    assert "@example.com" not in page


def test_id_of_several_columns_finds_its_derived_partition(make_world: MakeWorld) -> None:
    world = own_world(make_world, SENSORS)
    world.send(*SENSORS.messages(), partition=0)
    world.process()

    record = traced(world, "roof-1|2026-11-22T10:15:00.000Z")

    assert "stored" in outcomes(record).values()
    assert [row.place.partition(".")[2] or row.place for row in record.rows][:2] == [
        "readings",
        "readings_by_state",
    ]
    # As the message has it.
    assert traced(world, "roof-1|1795342500000").rows == record.rows


def test_profile_is_masked_and_found_in_both_tables(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    sent = profile(nat=...)
    world.send((b"k", json.dumps(sent).encode()), partition=0)
    world.process()

    record = traced(world, sent["login"]["uuid"])

    assert [row.place.partition(".")[2] for row in record.rows] == [
        "users_profiles",
        "profiles_by_nationality",
    ]
    assert record.rows[1].values["nationality"] == "unknown"
    assert not any(word in repr(record) for word in ("Ada", "Lovelace", "bluecat"))


def test_alert_without_an_id_is_found_by_its_message(make_world: MakeWorld) -> None:
    world = make_world(CUSTOMERS)
    settings = world.settings.model_copy(update={"sinks": ("files", "mongodb")})
    world = World(
        settings, world.pipeline, world.keyspace, world.spark, world.session, world.database
    )
    world.send((None, b'{"first_name": "Ada", "country": "USA"}'), partition=0)
    world.process()

    record = traced(world, f"{world.topic}/0/0")

    assert (record.id, outcomes(record)) == (None, {0: "stored"})
    assert [row.place.partition("/")[0] for row in record.rows] == [
        "customers_alerts",
        world.settings.customers_alerts_topic,
    ]
    assert "Ada" not in repr(record)


def test_message_that_expired_is_read_from_its_dead_letter_and_redrives_are_followed(
    make_world: MakeWorld,
) -> None:
    world = own_world(make_world, ORDERS)
    world.send(*ORDERS.messages(), partition=0)
    world.process()
    arguments = ["dead-letters", "redrive", "--topic", world.topic, "--reason", "invalid_amount"]
    assert run_dead_letters(world.settings, build_parser().parse_args(arguments)) == 0
    world.process()

    first, *others = traced(world, "E").arrivals

    assert first.letter is not None
    assert first.letter.state == "redriven"
    assert [(each.source, each.redriven_from) for each in others] == [
        (first.letter.redriven_to, first.source)
    ]
    admin, place = kafka_admin(world.settings), TopicPartition(world.topic, 0, 8)
    for deleted in admin.delete_records([place]).values():
        deleted.result(30)
    expired = traced(world, f"{world.topic}/0/6")
    assert expired.id == "E"
    (arrival,) = [each for each in expired.arrivals if each.source == f"{world.topic}/0/6"]
    assert arrival.outcome == "rejected"
    assert json.loads(str(arrival.value))["order_id"] == "E"
    assert any(dead_letter_topic(world.topic) in each for each in expired.searched)
    stored = traced(world, "A").arrivals[0]
    assert (stored.outcome, stored.value) == ("stored", None)
    assert str(stored.absent).startswith("expired: the topic begins at offset 8")
