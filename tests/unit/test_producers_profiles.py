"""Profiles: the offline source, what is taken out, where they come from."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
import pytest

from producers.offline_profiles import offline_profiles
from producers.pacing import ProducerStop
from producers.profiles import profile_messages, profiles_from, without_credentials
from producers.randomuser import ProfileSourceError
from settings import Settings
from tests.support.randomuser_server import Fault, answer_of, randomuser_server, user

pytestmark = pytest.mark.unit

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
CREDENTIALS = {"password", "salt", "md5", "sha1", "sha256"}


def made(count: int = 3000, seed: int = 1) -> list[dict[str, Any]]:
    return list(islice(offline_profiles(seed, clock=lambda: NOON), count))


def paths(record: Any, prefix: str = "") -> set[str]:
    if not isinstance(record, dict):
        return {prefix}
    return {p for key, value in record.items() for p in paths(value, f"{prefix}.{key}")}


def settings(source: str, count: int = 7) -> Settings:
    return Settings(
        profiles_source=source, profiles_count=count, profiles_per_request=3,
        profiles_pause_seconds=0,
    )  # fmt: skip


def test_same_seed_makes_the_same_profiles() -> None:
    assert made(200) == made(200)
    assert made(200) != made(200, seed=2)


def test_offline_profiles_have_the_shape_of_the_api() -> None:
    api = paths(user("s", 0))
    shapes = Counter(frozenset(paths(profile)) for profile in made())

    assert shapes.most_common(1)[0][0] == api
    assert all(shape < api | {".location", ".picture", ".id", ".registered", ".location.street"}
               for shape in shapes if shape != api)  # fmt: skip
    assert 100 < sum(n for shape, n in shapes.items() if shape != api) < 250


def test_offline_profiles_always_have_what_the_contract_requires() -> None:
    for profile in made():
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", profile["login"]["uuid"])
        assert profile["name"]["first"]
        assert profile["name"]["last"]
        assert re.fullmatch(r"[^@\s]+@[^@\s]+", profile["email"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", profile["dob"]["date"])
        assert "1900" < profile["dob"]["date"] < "2026-11-22T12:00"


def test_offline_profiles_show_what_the_api_never_does() -> None:
    profiles = made()
    ages = [profile["dob"]["age"] for profile in profiles]
    domains = {profile["email"].partition("@")[2] for profile in profiles}
    people = defaultdict(set)
    for profile in profiles:
        person = profile["name"]["first"], profile["name"]["last"], profile["email"]
        people[person].add(profile["login"]["uuid"])
    codes = [p["location"].get("postcode") for p in profiles if p.get("location")]

    assert 100 < sum(age <= 13 for age in ages) < 300
    assert {13, 14} <= set(ages)
    assert max(ages) > 80
    assert {"example.com", "example.org", "Example.COM"} <= domains
    assert any(len(ids) > 1 for ids in people.values())
    assert len({profile["login"]["uuid"] for profile in profiles}) == 3000
    assert {type(code) for code in codes} >= {int, str}
    assert {"US", "FR", "DE", "GB", "RS"} <= {profile.get("nat") for profile in profiles}
    assert any(not profile["name"]["last"].isascii() for profile in profiles)


def test_age_is_the_number_of_birthdays_up_to_today() -> None:
    for profile in made():
        year, month, day = map(int, profile["dob"]["date"][:10].split("-"))
        birthday_is_over = (month, day) <= (11, 22)
        assert profile["dob"]["age"] == 2026 - year - (0 if birthday_is_over else 1)


def test_credentials_are_removed_and_the_rest_is_kept() -> None:
    original = user("s", 0)

    sent = without_credentials(original)

    assert paths(original) - paths(sent) == {f".login.{name}" for name in CREDENTIALS}
    assert sent["login"]["username"] == "yellowpeacock117"
    assert CREDENTIALS <= set(original["login"])  # type: ignore[call-overload]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "changes",
    [
        {"login": {"uuid": "u", "Password": SECRET, "SALT": SECRET, "Sha256": SECRET}},
        {"login": {"uuid": "u", "username": {"password": SECRET}, "extra": [{"md5": SECRET}]}},
        {"login": [{"password": SECRET}]},
        {"LOGIN": {"password": SECRET}},
        {"user": {"password": SECRET, "salt": SECRET, "SSN": SECRET, "name": {"first": SECRET}}},
        {"password": SECRET, "salt": SECRET, "md5": SECRET, "SSN": SECRET, "BSN": SECRET},
        {"name": {"first": "A", "last": "B", "login": {"password": SECRET}}},
        {"email": {"password": SECRET}, "phone": [SECRET, {"sha1": SECRET}]},
        {"id": {"name": "SSN", "value": {"SSN": SECRET}, "TFN": SECRET}},
        {"location": {"street": [[{"password": SECRET}]]}, "results": [user("s", 1)]},
        {"pass\u0077ord": SECRET, "login.password": SECRET, "pаssword": SECRET},
    ],
)
def test_no_credential_passes_at_any_depth_or_under_another_name(changes: dict[str, Any]) -> None:
    [message] = profile_messages(
        iter([{**user("s", 0), **changes}]), seed=1, invalid_ratio=0, duplicate_ratio=0
    )

    assert SECRET.encode() not in message.value
    known = {path for path in paths(user("s", 0)) if path.rpartition(".")[2] not in CREDENTIALS}
    sent = paths(json.loads(message.value))
    assert all(any(path == k or k.startswith(f"{path}.") for k in known) for path in sent)


def test_object_or_array_in_the_place_of_a_value_stays_one_without_content() -> None:
    odd = {"email": {"a": 1}, "phone": [1], "location": [], "dob": {"date": [[]], "age": None}}

    assert without_credentials(odd) == {
        "email": {}, "phone": [], "location": [], "dob": {"date": [], "age": None},
    }  # fmt: skip


def test_numbers_arrive_with_the_digits_that_the_api_wrote(
    capsys: pytest.CaptureFixture[str],
) -> None:
    numbers = {"postcode": "@1.10@", "street": {"number": "@-0.50E+3@"}, "city": 2**64 - 1}
    users = [{**user("s", number), "location": numbers} for number in range(3)]
    with randomuser_server() as server:
        server.faults.append(Fault(body=answer_of(*users)))
        values = [
            value
            for _, value in profile_messages(
                profiles_from(settings("api", 3), 5, ProducerStop(), server.url),
                seed=1, invalid_ratio=0, duplicate_ratio=0.5,
            )
        ]  # fmt: skip

    assert len(values) == 3
    expected = b'{"postcode":1.10,"street":{"number":-0.50E+3},"city":18446744073709551615}'
    assert all(expected in value for value in values)
    assert "profile source: api" in capsys.readouterr().out


def test_profiles_with_fractions_can_be_broken_on_request() -> None:
    users = [{**user("s", n), "location": {"postcode": orjson.Fragment("1.10")}} for n in range(50)]

    messages = list(profile_messages(iter(users), seed=1, invalid_ratio=1, duplicate_ratio=0))

    assert len(messages) == 50


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ({"postcode": 2**70}, "the answer has a number too large for 64 bits"),
        (
            {"city": "\ud800"},
            "the answer cannot be sent on unchanged: str is not valid UTF-8: surrogates not"
            " allowed",
        ),
    ],
    ids=["an integer above 64 bits", "a lone surrogate"],
)
def test_answer_that_cannot_be_sent_on_makes_auto_fall_back_and_api_end_with_a_message(
    capsys: pytest.CaptureFixture[str], location: dict[str, Any], why: str
) -> None:
    with randomuser_server() as server:
        server.faults.append(Fault(body=answer_of({**user("s", 0), "location": location})))
        profiles = list(profiles_from(settings("auto"), 5, ProducerStop(), server.url))
        server.faults.extend([Fault(body=answer_of({**user("s", 0), "location": location}))] * 5)
        stop = ProducerStop()
        stop.sleep = lambda seconds: None  # type: ignore[method-assign]
        with pytest.raises(ProfileSourceError, match=f"{why}. Try again later, or use"):
            list(profiles_from(settings("api", 1), 5, stop, server.url))

    assert len(profiles) == 7
    assert capsys.readouterr().out.splitlines()[0] == f"profile source: offline ({why})"


@pytest.mark.parametrize("login", [None, "root", [], 5])
def test_login_that_is_no_object_is_left_as_it_is(login: object) -> None:
    assert without_credentials({"login": login}) == {"login": login}


def test_no_message_carries_a_credential() -> None:
    messages = list(
        profile_messages(iter(made(1000)), seed=1, invalid_ratio=0.3, duplicate_ratio=0.2)
    )
    secrets = {profile["login"]["sha256"].encode() for profile in made(1000)}

    assert len(messages) == 1000
    for _, value in messages:
        assert not any(f'"{name}"'.encode() in value for name in CREDENTIALS)
        assert not any(secret in value for secret in secrets)


def test_message_key_is_the_uuid() -> None:
    [message] = profile_messages(iter(made(1)), seed=1, invalid_ratio=0, duplicate_ratio=0)

    assert message.key == json.loads(message.value)["login"]["uuid"].encode()


def test_duplicates_repeat_an_earlier_uuid() -> None:
    messages = list(profile_messages(iter(made()), seed=1, invalid_ratio=0, duplicate_ratio=0.2))
    keys = Counter(message.key for message in messages)
    values = {message.value for message in messages}

    assert len(messages) == 3000
    assert 2250 < len(keys) < 2550
    assert len(keys) + 200 < len(values) < 2900


def test_source_api_gives_the_users_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    with randomuser_server() as server:
        profiles = list(profiles_from(settings("api"), 5, ProducerStop(), server.url))

    assert [p["email"] for p in profiles] == ["jennie.nichols@example.com"] * 7
    assert [request["page"] for request in server.requests] == ["1", "2", "3"]
    assert {request["seed"] for request in server.requests} == {"millrace0000000000000005"}
    assert capsys.readouterr().out == f"profile source: api ({server.url})\n"


@pytest.mark.parametrize("seed", [1_234_567_899, 4_294_967_295, 0, -1, 2**80])
def test_source_api_takes_any_seed(seed: int) -> None:
    with randomuser_server() as server:
        profiles = list(profiles_from(settings("api", 3), seed, ProducerStop(), server.url))

    assert len(profiles) == 3


def test_source_auto_prefers_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    with randomuser_server() as server:
        profiles = list(profiles_from(settings("auto"), 5, ProducerStop(), server.url))

    assert len(profiles) == 7
    assert capsys.readouterr().out == f"profile source: api ({server.url})\n"


def test_source_auto_falls_back_to_offline_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        url = f"http://127.0.0.1:{closing.getsockname()[1]}/"

    profiles = list(profiles_from(settings("auto"), 5, ProducerStop(), url))

    assert len(profiles) == 7
    assert capsys.readouterr().out == "profile source: offline (no connection)\n"


def test_source_auto_continues_offline_when_the_api_fails_midway(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with randomuser_server() as server:
        profiles = profiles_from(settings("auto"), 5, ProducerStop(), server.url)
        first = [next(profiles) for _ in range(3)]
        server.faults.append(Fault(404, body=b""))
        rest = list(profiles)

    assert len(first) + len(rest) == 7
    assert len({p["login"]["uuid"] for p in first + rest}) == 7
    assert capsys.readouterr().out.splitlines()[1] == "profile source: offline (HTTP 404)"


def test_source_api_fails_when_the_api_fails() -> None:
    with randomuser_server() as server:
        server.faults.append(Fault(404, body=b""))
        with pytest.raises(ProfileSourceError, match="HTTP 404"):
            list(profiles_from(settings("api"), 5, ProducerStop(), server.url))


def test_offline_source_asks_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    with randomuser_server() as server:
        profiles = list(profiles_from(settings("offline"), 5, ProducerStop(), server.url))

    assert len(profiles) == 7
    assert server.requests == []
    assert capsys.readouterr().out == "profile source: offline (as asked)\n"
