"""A dashboard that runs learns of pipelines that come and go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard import live
from dashboard.app import build_app
from dashboard.live import LiveSource
from operations.overview.stores import OpenStores
from settings import Settings
from tests.support.dashboard_source import ADDRESS
from tests.support.fake_mongo import Database
from tests.support.pipeline_folders import EXAMPLES

FRESH_SECONDS = 0.2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pipelines"


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database()
    for module in ("collect", "stores"):
        place = f"operations.overview.{module}.confirmed_database"
        monkeypatch.setattr(place, lambda *_: found)
    monkeypatch.setattr(OpenStores, "database", property(lambda _: found))
    monkeypatch.setattr("operations.overview.collect.stack.asked_states", lambda _: [])
    monkeypatch.setattr("operations.overview.collect.offsets_of", lambda *_: {})
    return found


@pytest.fixture
def running(
    folder: Path, settings: Settings, database: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The dashboard, over no pipelines but the built-in ones."""
    monkeypatch.setattr("dashboard.latest.FRESH_SECONDS", FRESH_SECONDS)
    monkeypatch.setattr(live, "FOLLOW_EVERY_SECONDS", 0.0)
    source = LiveSource(settings.model_copy(update={"pipelines_path": folder}))
    with TestClient(build_app(source), base_url=ADDRESS) as client:
        yield client
    source.close()


def add(folder: Path, name: str = "orders") -> None:
    shutil.copytree(EXAMPLES / name, folder / name)


def seen(client: TestClient) -> tuple[set[str], list[str]]:
    # So that the look before is no longer fresh.
    time.sleep(2 * FRESH_SECONDS)
    found = client.get("/api/overview").json()
    return {each["name"] for each in found["pipelines"]}, found["troubles"]


def test_pipeline_that_is_made_while_it_runs_gets_pages_records_and_numbers(
    running: TestClient, folder: Path
) -> None:
    assert seen(running) == ({"tickets", "profiles", "customers"}, [])
    assert running.get("/pipelines/orders").status_code == 404

    add(folder)

    assert running.get("/pipelines/orders").status_code == 200
    assert "orders.orders" in running.get("/api/records").json()
    assert seen(running) == ({"tickets", "profiles", "customers", "orders"}, [])
    assert running.get("/api/pipelines/orders").json()["topic"] == "orders"

    shutil.rmtree(folder / "orders")

    assert seen(running)[0] == {"tickets", "profiles", "customers"}
    assert running.get("/pipelines/orders").status_code == 404


def test_declaration_with_faults_is_named_and_the_others_stay(
    running: TestClient, folder: Path
) -> None:
    add(folder)
    declaration = folder / "orders" / "pipeline.py"
    text = declaration.read_text()
    declaration.write_text("PIPELINE = 1\n")

    names, troubles = seen(running)

    assert names == {"tickets", "profiles", "customers"}
    assert any("defines no `PIPELINE = Pipeline(…)`" in each for each in troubles)
    assert running.get("/pipelines/tickets").status_code == 200

    declaration.write_text(text)
    assert seen(running) == ({"tickets", "profiles", "customers", "orders"}, [])


def test_declarations_are_read_again_only_if_a_folder_has_come_or_gone(
    running: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder)
    seen(running)
    monkeypatch.setattr(live, "pipelines_of", lambda _: pytest.fail("read again"))

    assert "orders" in seen(running)[0]
