"""The randomuser.me client against a local server with the real one's habits."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from producers.randomuser import ProfileSourceError, RandomUserClient, api_profiles
from tests.support.randomuser_server import (
    Fault,
    RandomUserServer,
    answer_of,
    randomuser_server,
    user,
)

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


def odd(**changes: object) -> bytes:
    """Three users, the last with other values."""
    return answer_of(user("s", 0), user("s", 1), {**user("s", 2), **changes})


TOO_LARGE = "a number too large for 64 bits"
# Each for a request of three profiles, and what is said of it.
ANSWERS: dict[str, tuple[bytes, str]] = {
    "70 bits": (odd(location={"postcode": 2**70}), TOO_LARGE),
    "-70 bits": (odd(dob={"age": -(2**70)}), TOO_LARGE),
    "5000 digits": (odd(id={"value": f"@{'9' * 5000}@"}), TOO_LARGE),
    "1e999": (odd(location={"postcode": "@1e999@"}), TOO_LARGE),
    "in an unknown field": (odd(extra=[{"n": 2**64}]), TOO_LARGE),
    "NaN": (odd(location={"postcode": float("nan")}), "not JSON"),
    "-Infinity": (odd(location={"postcode": float("-inf")}), "not JSON"),
    "lone surrogate": (odd(email="a\ud800@example.com"), "surrogates not allowed"),
    "surrogate in a name": (odd(**{"\udfff": 1}), "surrogates not allowed"),
    "raw surrogate": (b'{"results": [{"email": "\xed\xa0\x80"}]}', "surrogates not allowed"),
    "deep": (odd(id={"value": "@" + "[" * 100_000 + "]" * 100_000 + "@"}), "not JSON"),
    "rather deep": (odd(id={"value": "@" + "[" * 300 + "]" * 300 + "@"}), "Recursion limit"),
    "no UTF-8": (b'{"results": ["\xff"]}', "not JSON"),
    "nothing": (b"", "not JSON"),
    "HTML": (b"<!DOCTYPE html><title>Maintenance</title>", "not JSON"),
    "no users": (answer_of(), "asked for 3 profiles, received 0"),
    "object": (b'{"results": {"0": {}}}', "no list `results`"),
    "numbers": (answer_of(1, 2, 3), "no list `results`"),
    "nulls": (answer_of(None, None, None), "no list `results`"),
    "login no object": (odd(login="root"), "a profile without the text `login.uuid`"),
    "uuid no text": (odd(login={"uuid": 5}), "a profile without the text `login.uuid`"),
    "old shape": (answer_of(*[{"user": {"password": "x"}}] * 3), "without the text `login.uuid`"),
}


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


def test_pages_after_the_last_of_a_seed_repeat_no_user(client: RandomUserClient) -> None:
    numbers = [1, 2, 11, 12, 9_999, 10_000, 10_001, 10_002, 20_001, 110_001, 110_002]

    ids = [profile["login"]["uuid"] for n in numbers for profile in client.page(n, 2)]

    assert len(set(ids)) == 2 * len(numbers)


def test_page_size_is_clamped_to_what_the_service_gives(
    client: RandomUserClient, server: RandomUserServer
) -> None:
    assert len(take(client, count=5001, per_request=9000)) == 5001
    assert [request["results"] for request in server.requests] == ["5000", "1"]


def test_integers_of_64_bits_are_taken(client: RandomUserClient, server: RandomUserServer) -> None:
    numbers = {"postcode": 2**64 - 1, "number": -(2**63)}
    server.faults.append(Fault(body=odd(location=numbers)))

    assert client.page(1, 3)[2]["location"] == numbers


@pytest.mark.parametrize("results", [0, 5001])
def test_sizes_that_the_service_would_turn_into_one_user_are_never_requested(
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
        *((Fault(body=body), why) for body, why in ANSWERS.values()),
        (Fault(body=b"x" * 60, headers={"Content-Encoding": "gzip"}), "compression is damaged"),
        (Fault(body=b"{}", headers={"Content-Length": "9"}), "the answer broke off|not JSON"),
    ],
    ids=[
        "bare error", "cut JSON", "array", "no results", "one user", "503", *ANSWERS, "gzip",
        "cut off",
    ],
)  # fmt: skip
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


def test_answer_that_drips_for_hours_is_given_up(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime
) -> None:
    def clock() -> float:
        fake.now += 50
        return fake.now

    client._clock = clock  # noqa: SLF001
    server.faults.extend([Fault(body=b"x" * 100_000, drip_seconds=0.001)] * 5)

    with pytest.raises(ProfileSourceError, match="took too long"):
        client.page(1, 3)


def test_answer_that_never_ends_is_given_up_at_once(
    client: RandomUserClient, server: RandomUserServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.randomuser.LARGEST_ANSWER_BYTES", 1_000_000)
    bomb = gzip.compress(bytes(50_000_000))
    server.faults.append(Fault(body=bomb, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(ProfileSourceError, match="is larger than any page of profiles"):
        client.page(1, 3)
    assert len(server.requests) == 1


def test_packed_answer_is_read(client: RandomUserClient, server: RandomUserServer) -> None:
    users = [user("s", number) for number in range(3)]
    body = gzip.compress(answer_of(*users))
    server.faults.append(Fault(body=body, headers={"Content-Encoding": "gzip"}))

    assert client.page(1, 3) == users


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/api/1.4/", "redirects in a circle"),
        ("http://[", "InvalidURL|ValueError|LocationParseError"),
        ("file:///etc/passwd", "InvalidSchema"),
        ("http://127.0.0.1:1/", "no connection"),
    ],
)
def test_redirect_that_leads_nowhere_is_given_up(
    client: RandomUserClient, server: RandomUserServer, place: str, why: str
) -> None:
    server.faults.extend([Fault(302, headers={"Location": place})] * 200)

    with pytest.raises(ProfileSourceError, match=why):
        client.page(1, 3)


@pytest.mark.parametrize("status", [429, 503])
def test_date_to_retry_after_is_waited_for(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime, status: int
) -> None:
    date = formatdate(time.time() + 100, usegmt=True)
    server.faults.append(Fault(status, headers={"Retry-After": date}))

    assert len(client.page(1, 3)) == 3
    assert fake.slept[0] == pytest.approx(100, abs=30)


@pytest.mark.parametrize("text", ["soon", "", "-5", "Fri, 99 Feb 2026 99:99:99 GMT", "9" * 5000])
def test_retry_after_that_says_nothing_is_ignored(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime, text: str
) -> None:
    server.faults.append(Fault(503, headers={"Retry-After": text}))

    assert len(client.page(1, 3)) == 3
    assert fake.slept == [1]


def test_wait_that_is_longer_than_the_patience_is_not_begun(
    client: RandomUserClient, server: RandomUserServer, fake: FakeTime
) -> None:
    date = formatdate(time.time() + 86_400, usegmt=True)
    server.faults.append(Fault(429, headers={"Retry-After": date}))

    with pytest.raises(ProfileSourceError, match="limit is reached"):
        client.page(1, 3)
    assert fake.slept == []


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
