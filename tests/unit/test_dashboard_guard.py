"""Who may see the dashboard, when it looks at the platform, and what it says of its health."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.testclient import TestClient

from dashboard import guard, server
from dashboard.app import build_app
from dashboard.kept import Kept
from dashboard.latest import Latest, Seen
from errors import SettingsError, SinkUnavailable, StackError
from operations.overview.model import Overview
from settings import Settings
from tests.support.dashboard_source import ADDRESS, HandMade, away, overview_of


@pytest.fixture
def locked(source: HandMade, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Behind the password `très secret`, which is wrong for no time here."""
    monkeypatch.setattr(guard, "WRONG_PASSWORD_SECONDS", 0.0)
    app = build_app(source, SecretStr("très secret"))
    with TestClient(app, base_url="http://millrace.example") as found:
        yield found


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8484", 200),
        ("localhost:8484", 200),
        ("LOCALHOST", 200),
        ("[::1]:8484", 200),
        ("[::1]", 200),
        ("evil.example:8484", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_without_a_password_only_the_names_of_this_machine_are_answered(
    host: str, status: int, client: TestClient
) -> None:
    for path in ("/", "/api/records", "/metrics", "/static/dashboard.css"):
        assert client.get(path, headers={"host": host}).status_code == status


def test_with_a_password_every_page_wants_it_but_healthz(locked: TestClient) -> None:
    for path in ("/", "/api/overview", "/records", "/metrics", "/static/dashboard.css", "/x"):
        answer = locked.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert "orders" not in answer.text
        assert locked.get(path, auth=("any", "wrong")).status_code == 401
        assert locked.get(path, auth=("any", "")).status_code == 401
        assert locked.get(path, auth=("any", "très secret")).status_code == (
            404 if path == "/x" else 200
        )
    for broken in (b"Basic %%%", b"Basic \xe9"):
        assert locked.get("/", headers={b"authorization": broken}).status_code == 401
    assert locked.get("/", headers={"authorization": "Bearer abc"}).status_code == 401
    assert locked.get("/healthz").status_code == 200
    assert locked.get("/healthz/../").status_code == 401


def test_a_wrong_password_costs_time(source: HandMade) -> None:
    with TestClient(build_app(source, SecretStr("right")), base_url=ADDRESS) as client:
        begin = time.monotonic()
        assert client.get("/", auth=("", "wrong")).status_code == 401
        assert time.monotonic() - begin >= 1.0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "millrace.example"])  # noqa: S104
def test_other_machines_need_a_password_before_anything_is_started(
    host: str, settings: Settings
) -> None:
    for password in (None, SecretStr("")):
        changes = {"dashboard_host": host, "dashboard_password": password}
        with pytest.raises(SettingsError, match=r"DASHBOARD_PASSWORD.*Nothing was started"):
            server.serve(settings.model_copy(update=changes))


@pytest.mark.parametrize("host", ["192.0.2.1", "millrace.invalid"])
def test_an_address_of_another_machine_is_refused(host: str, settings: Settings) -> None:
    changes = {"dashboard_host": host, "dashboard_password": SecretStr("x")}
    with pytest.raises(SettingsError, match=f"DASHBOARD_HOST: `{host}` is no address of this"):
        server.serve(settings.model_copy(update=changes))


def test_a_taken_port_is_named_with_its_setting(
    settings: Settings, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]

    with pytest.raises(StackError, match=rf"127.0.0.1:{port}: process \d+ .*DASHBOARD_PORT"):
        server.serve(settings.model_copy(update={"dashboard_port": port}))


def test_health_names_what_is_down(source: HandMade, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "down": []}

    lost = HandMade()
    lost.lose("cassandra")
    with TestClient(build_app(lost), base_url=ADDRESS) as other:
        answer = other.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "down", "down": ["cassandra"]}
    failing = HandMade(fault=away("Kafka"))
    with TestClient(build_app(failing), base_url=ADDRESS) as other:
        answer = other.get("/healthz")
    assert (answer.status_code, answer.json()["down"]) == (503, ["overview"])


def test_metrics_are_the_numbers_of_the_overview(source: HandMade, client: TestClient) -> None:
    source.lose("cassandra")
    answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["millrace_overview_up",] == 0
    assert found["millrace_service_up", "cassandra"] == 0
    assert found["millrace_service_up", "kafka"] == 1
    # 2,000 read: 40 rejected, 20 filtered, 10 duplicates.
    assert found["millrace_messages_total", "orders", "stored"] == 1_930
    assert found["millrace_messages_total", "dead_lettered", "orders"] == 40
    assert found["millrace_messages_total", "filtered", "orders"] == 20
    assert found["millrace_messages_total", "duplicates", "orders"] == 10
    assert found["millrace_dead_letters", "missing_country", "orders"] == 30
    assert found["millrace_lag_messages", "2", "orders"] == 40
    assert found["millrace_job_running", "orders"] == 1
    assert found["millrace_job_running", "sensors"] == 0
    assert found["millrace_last_success_timestamp_seconds", "orders"] == 1795867199.0
    assert found["millrace_proof_verified",] == 1
    assert 0 < found["millrace_last_sink_seconds", "mongodb", "orders"] < 1


def test_sums_of_a_ledger_that_was_never_read_are_not_zeros(
    source: HandMade, client: TestClient
) -> None:
    source.lose("mongodb")
    orders, sensors = source.seen.pipelines
    source.seen = replace(source.seen, pipelines=(replace(orders, history=()), sensors))

    text = client.get("/metrics").text

    assert 'millrace_messages_total{outcome="stored",pipeline="sensors"} 483.0' in text
    assert 'outcome="stored",pipeline="orders"' not in text


def test_metrics_without_an_overview_say_so(source: HandMade, client: TestClient) -> None:
    source.fault = away("Kafka")

    assert client.get("/metrics").text.splitlines()[-1] == "millrace_overview_up 0.0"


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def overview_threads() -> int:
    return sum(thread.name == "overview" for thread in threading.enumerate())


def test_the_platform_is_looked_at_only_when_someone_asks_and_once_for_all() -> None:
    looks: list[float] = []
    clock = Clock()
    begun, go_on = threading.Event(), threading.Event()

    def collect() -> Overview:
        looks.append(clock.now)
        begun.set()
        go_on.wait(10)
        return overview_of(2_000)

    latest = Latest(collect, clock)
    clock.now += 1_000
    assert looks == []
    found: list[Seen] = []
    askers = [threading.Thread(target=lambda: found.append(latest.get(10))) for _ in range(5)]
    for each in askers:
        each.start()
    assert begun.wait(5)
    # Whoever does not want to wait gets nothing yet.
    assert latest.get(0) == Seen()
    go_on.set()
    for each in askers:
        each.join(10)

    assert len(looks) == 1
    assert len(found) == 5
    assert all(seen.overview is not None for seen in found)
    clock.now += 1.9
    latest.get(10)
    assert len(looks) == 1
    clock.now += 60
    time.sleep(0.05)
    assert len(looks) == 1
    assert overview_threads() == 0


def test_one_that_is_a_little_old_is_shown_at_once_while_a_new_one_is_collected() -> None:
    clock, seen = Clock(), [overview_of(2_000), overview_of(4_000)]
    latest = Latest(lambda: seen.pop(0), clock)
    first = latest.get(10).overview
    clock.now += 5

    assert latest.get(0).overview is first
    assert latest.get(10, fresh=True).overview is not first
    assert seen == []


def test_one_that_is_too_old_is_not_shown() -> None:
    clock, seen = Clock(), [overview_of(2_000), overview_of(4_000)]
    latest = Latest(lambda: seen.pop(0), clock)
    latest.get(10)
    clock.now += 31

    found = latest.get(10).overview

    assert found is not None
    assert found.pipelines[0].counts.read == 4_000


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SinkUnavailable("Kafka does not answer."), "Kafka does not answer."),
        (KeyError("a record's value"), "The overview could not be collected (KeyError)."),
    ],
)
def test_a_look_that_fails_leaves_the_last_one_with_its_reason(error: Exception, text: str) -> None:
    clock = Clock()
    answers: list[Overview | Exception] = [overview_of(2_000), error, overview_of(4_000)]

    def collect() -> Overview:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    latest = Latest(collect, clock)
    latest.get(10)
    clock.now += 3
    failed = latest.get(10, fresh=True)
    assert failed.trouble == text
    assert failed.overview is not None
    assert failed.overview.pipelines[0].counts.read == 2_000
    clock.now += 3
    assert latest.get(10, fresh=True).trouble is None


def test_stopped_jobs_and_services_without_answers_stay_apart(source: HandMade) -> None:
    orders, sensors = source.seen.pipelines
    idle = replace(source.seen, pipelines=(replace(orders, job="not running"), sensors))
    with TestClient(build_app(HandMade(seen=idle)), base_url=ADDRESS) as client:
        assert client.get("/healthz").status_code == 200


def test_a_chart_is_read_again_after_a_batch_and_never_for_more_than_a_tenth_of_the_time() -> None:
    clock, reads = Clock(), []
    kept = Kept(clock)

    def get(key: str, batch: int) -> int:
        def read() -> int:
            reads.append(key)
            clock.now += 2.0
            return len(reads)

        return kept.get(key, batch, read)

    assert get("count", 1) == 1
    clock.now += 19
    assert get("count", 2) == 1
    clock.now += 1
    assert get("count", 2) == 2
    clock.now += 59
    assert get("count", 2) == 2
    clock.now += 1
    assert get("count", 2) == 3
    assert get("revenue", 2) == 4
    assert reads == ["count", "count", "count", "revenue"]
