"""The randomuser.me client against a local server with the real one's habits."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from producers.randomuser import ProfileSourceError, RandomUserClient, api_profiles
from tests.support.randomuser_server import Fault, RandomUserServer, randomuser_server

pytestmark = pytest.mark.unit


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[RandomUserServer]:
    with randomuser_server() as server:
        yield server


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(server: RandomUserServer, fake: FakeTime) -> Iterator[RandomUserClient]:
    # Pages of 5,000 take a while on a busy machine.
    client = RandomUserClient(
        seed="s1", base_url=server.url, sleep=fake.sleep, clock=fake.clock, timeouts=(30, 30)
    )
    yield client
    client.close()


def take(client: RandomUserClient, count: int, per_request: int) -> list[str]:
    profiles = api_profiles(client, count=count, per_request=per_request, pause_seconds=2)
    return [profile["login"]["uuid"] for profile in profiles]


def test_pages_of_one_seed_give_the_count_asked_without_repeats(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime
) -> None:
    ids = take(client, count=25, per_request=10)

    assert len(set(ids)) == 25
    assert server.requests == [
        {"results": "10", "seed": "s1", "page": "1"},
        {"results": "10", "seed": "s1", "page": "2"},
        {"results": "5", "seed": "s1", "page": "3"},
    ]
    assert fake.slept == [2, 2]


def test_page_size_is_clamped_to_what_the_service_gives(
    client: RandomUserClient, server: RandomUserServer
) -> None:
    assert len(take(client, count=5001, per_request=9000)) == 5001
    assert [request["results"] for request in server.requests] == ["5000", "1"]


@pytest.mark.parametrize("results", [0, 5001])
def test_sizes_that_the_service_would_turn_into_one_user_are_never_asked(
    client: RandomUserClient, server: RandomUserServer, results: int
) -> None:
    with pytest.raises(ValueError, match="5000"):
        client.page(1, results)
    assert server.requests == []


def test_limit_is_waited_out_as_long_as_the_service_says(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime
) -> None:
    server.faults.extend([Fault(429, headers={"Retry-After": "17"}), Fault(429)])

    assert len(client.page(1, 3)) == 3
    assert fake.slept == [17, 2]


def test_limit_that_does_not_end_is_given_up_within_the_patience(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime
) -> None:
    server.faults.extend(Fault(429) for _ in range(100))

    with pytest.raises(ProfileSourceError, match=r"limit is reached.*--source offline"):
        client.page(1, 3)
    assert 200 < fake.now - 1000 <= 330


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(), "with an error instead of profiles"),
        (Fault(body=b'{"results": [{"na'), "not JSON"),
        (Fault(body=b"[]"), "not a JSON object"),
        (Fault(body=b'{"info": {}}'), "no list `results`"),
        (Fault(body=b'{"results": [{}]}'), "asked for 3 profiles, received 1"),
        (Fault(503), "HTTP 503"),
    ],
    ids=["bare error", "cut JSON", "array", "no results", "one user", "503"],
)
def test_bad_answer_is_tried_again_and_then_given_up(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime, fault: Fault, why: str
) -> None:
    server.faults.append(fault)
    assert len(client.page(1, 3)) == 3
    assert fake.slept == [1]

    server.faults.extend([fault] * 5)
    with pytest.raises(ProfileSourceError, match=why):
        client.page(2, 3)
    assert fake.slept == [1, 1, 2, 4, 8]


def test_answer_that_takes_too_long_is_tried_again(
    server: RandomUserServer, fake: FakeTime
) -> None:
    client = RandomUserClient(
        seed="s1", base_url=server.url, sleep=fake.sleep, clock=fake.clock, timeouts=(30, 0.5)
    )
    server.faults.append(Fault(delay_seconds=60))

    assert len(client.page(1, 3)) == 3
    # On a loaded machine the second answer may be late as well.
    assert fake.slept[0] == 1
    client.close()


def test_answers_that_always_take_too_long_are_given_up(
    server: RandomUserServer, fake: FakeTime
) -> None:
    client = RandomUserClient(
        seed="s1", base_url=server.url, sleep=fake.sleep, clock=fake.clock, timeouts=(30, 0.05)
    )
    server.faults.extend([Fault(delay_seconds=60)] * 5)

    with pytest.raises(ProfileSourceError, match="took too long"):
        client.page(1, 3)
    assert fake.slept == [1, 2, 4, 8]
    client.close()


def test_refused_request_is_not_repeated(
    client: RandomUserClient, server: RandomUserServer
) -> None:
    server.faults.append(Fault(404, body=b"<html>gone</html>"))

    with pytest.raises(ProfileSourceError, match="HTTP 404"):
        client.page(1, 3)
    assert len(server.requests) == 1


def test_client_keeps_to_the_budget_before_the_service_complains(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime
) -> None:
    for number in range(1, 5):
        client.page(number, 5000)
    assert fake.slept == []

    server.budget_users = 20_000
    client.page(5, 100)

    assert fake.slept == [300]
    assert len(server.requests) == 5


def test_stop_ends_the_waiting(server: RandomUserServer) -> None:
    stopped: list[bool] = []
    client = RandomUserClient(
        seed="s",
        base_url=server.url,
        sleep=lambda _: stopped.append(True),
        stopped=lambda: bool(stopped),
    )
    server.faults.extend([Fault(429)] * 3)

    assert client.page(1, 3) == []
    assert len(server.requests) == 1
    client.close()


def test_probe_says_why_there_is_no_api() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    client = RandomUserClient(seed="s", base_url=f"http://127.0.0.1:{port}/")

    assert client.probe(30) == "no connection"
    client.close()


def test_probe_does_not_wait_for_a_silent_service(server: RandomUserServer) -> None:
    client = RandomUserClient(seed="s", base_url=server.url)
    server.faults.append(Fault(delay_seconds=60))
    started = time.monotonic()

    assert client.probe(0.2) == "no answer within 0.2 s"
    assert time.monotonic() - started < 30
    assert client.probe(30) is None
    client.close()
