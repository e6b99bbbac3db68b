"""The dashboard over a pipeline of a user on a real platform: its numbers are the stores'."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from dashboard.app import build_app
from dashboard.live import LiveSource
from operations.masking import MASK
from settings import Settings
from spark_jobs.sinks.mongodb import from_bson
from tests.support.own_checks import ORDERS, own_world
from tests.support.pipelines import MakeWorld
from tests.support.world import World


@pytest.fixture(scope="module")
def filled(shared_worlds: MakeWorld) -> World:
    """Orders of every kind in every sink."""
    world = own_world(shared_worlds, ORDERS)
    world.send(*ORDERS.messages(), partition=0)
    world.process()
    return world


@pytest.fixture
def client(filled: World, stack_settings: Settings) -> Iterator[TestClient]:
    # Where the services note that they are up.
    home = {"millrace_home": stack_settings.millrace_home}
    source = LiveSource(filled.settings.model_copy(update=home))
    try:
        with TestClient(build_app(source), base_url="http://127.0.0.1:8484") as found:
            yield found
    finally:
        source.close()


def test_numbers_are_the_ledgers(filled: World, client: TestClient) -> None:
    found = client.get("/api/overview").json()
    totals = filled.totals()
    (view,) = found["pipelines"]

    assert {name: view["counts"][name] for name in ("read", "stored", "dead_lettered")} == {
        "read": totals.read,
        "stored": totals.stored,
        "dead_lettered": totals.dead_lettered,
    }
    assert view["lag"] == 0
    assert view["history"][0]["sink_seconds"].keys() >= {"cassandra", "mongodb", "files"}
    # The PostgreSQL of these tests is none of the stack's services.
    assert client.get("/healthz").json()["down"] == ["postgres"]
    page = client.get("/pipelines/orders").text
    numbers = (totals.stored, totals.dead_lettered, totals.filtered, totals.duplicates)
    assert f"{totals.read} = {' + '.join(map(str, numbers))}" in page


def test_every_aggregate_is_drawn_with_the_stores_numbers(
    filled: World, client: TestClient
) -> None:
    for aggregate in filled.pipeline.aggregates:
        documents = [from_bson(each) for each in filled.documents(aggregate.name).values()]
        for name, measure in aggregate.measures.items():
            path = f"/api/pipelines/orders/{aggregate.name}"
            chart = client.get(path, params={"measure": name}).json()
            piece = client.get(
                "/pipelines/orders",
                params={"part": "chart", "aggregate": aggregate.name, "measure": name},
            )
            assert piece.status_code == 200
            assert chart["measure"] == name
            if measure.kind in {"count", "total"}:
                expected = sum(document[name] for document in documents)
                assert float(chart["total"]) == float(expected)


def test_rows_and_dead_letters_and_traces_are_masked(filled: World, client: TestClient) -> None:
    place = f"{filled.keyspace}.orders_by_status"
    listed = client.get(f"/records/{place}?part=found").text
    link = next(each for each in re.findall(r'href="(/records/[^"]+)"', listed) if "paid" in each)
    rows = client.get(f"{link.replace('&amp;', '&')}&part=found")
    letters = client.get("/dead-letters?pipeline=orders&part=found")
    trace = client.get("/trace/B?part=found")

    for answer in (rows, letters, trace):
        assert answer.status_code == 200
        assert "@example.com" not in answer.text
    assert MASK in letters.text
    assert "invalid_amount" in letters.text
    assert {"A", "D"} <= set(re.findall(r'/trace/([A-Z])"', rows.text))
    assert all(store in trace.text for store in ("Cassandra", "PostgreSQL", "files"))
    assert datetime.now(UTC).strftime("%Y") in trace.text
