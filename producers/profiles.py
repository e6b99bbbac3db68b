"""Sends user profiles to Kafka: `python -m producers.profiles --help`."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from random import Random
from typing import Any, Final

import orjson

from producers.command import (
    check_ratios,
    chosen_seed,
    deliver,
    new_parser,
    say,
    settings_or_exit,
)
from producers.faults import PROFILE_FAULTS
from producers.messages import Message
from producers.offline_profiles import offline_profiles
from producers.pacing import ProducerStop
from producers.randomuser import BASE_URL, ProfileSourceError, RandomUserClient, api_profiles
from runtime import remedies
from schemas.contract import load_contract
from settings import Settings

Profile = dict[str, Any]
Fields = dict[str, "Fields"]
# The field whose text is the key of a message.
KEY_FIELDS: Final = ("login.uuid",)
# How many earlier profiles can be repeated.
MEMORY: Final = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _options(arguments)
    settings = settings_or_exit(
        {
            "profiles_count": options.count,
            "profiles_topic": options.topic,
            "profiles_source": options.source,
            "profiles_per_request": options.per_request,
            "profiles_pause_seconds": options.pause_seconds,
            "kafka_bootstrap_servers": options.bootstrap_servers,
        }
    )
    seed = chosen_seed(options.seed)
    used = list[str]()

    def source(settings: Settings, stop: ProducerStop) -> Iterator[Message]:
        return profile_messages(
            profiles_from(settings, seed, stop, options.api_url, used),
            seed=seed,
            invalid_ratio=options.invalid_ratio,
            duplicate_ratio=options.duplicate_ratio,
        )

    return deliver(
        settings,
        topic=settings.profiles_topic,
        source=source,
        rate=options.rate,
        total=settings.profiles_count,
        note=f"profile seed: {seed}",
        start=options.from_record,
        resume=lambda number: _resumed(number, settings.profiles_count, seed, used),
    )


def _resumed(number: int, count: int, seed: int, used: Sequence[str]) -> str:
    """The command that continues with a profile of the same source."""
    if len(used) == 1:
        return remedies.resumed({"--source": used[0], "--seed": seed, "--from-record": number})
    # The API failed on the way, and would not do so at the same profile: the rest is made.
    left = max(count - number + 1, 0)
    return remedies.resumed({"--source": used[-1], "--seed": seed + 1, "--count": left})


def profiles_from(
    settings: Settings,
    seed: int,
    stop: ProducerStop,
    api_url: str = BASE_URL,
    used: list[str] | None = None,
) -> Iterator[Profile]:
    """Profiles from the source in the settings; prints which one in a line, and adds it to `used`.

    Raises:
        ProfileSourceError: The setting requires the API and it gives no profiles.
    """
    count, used = settings.profiles_count, [] if used is None else used
    offline = offline_profiles(seed)
    if settings.profiles_source == "offline":
        used.append("offline")
        say("profile source: offline (as asked)")
        yield from islice(offline, count or None)
        return
    client = RandomUserClient(
        seed=api_seed(seed), base_url=api_url, sleep=stop.sleep, stopped=lambda: bool(stop)
    )
    given = 0
    try:
        if settings.profiles_source == "auto" and (why := client.probe()) is not None:
            raise ProfileSourceError(why)
        say(f"profile source: api ({api_url})")
        used.append("api")
        for profile in api_profiles(
            client,
            count=count,
            per_request=settings.profiles_per_request,
            pause_seconds=settings.profiles_pause_seconds,
        ):
            yield profile
            given += 1
    except ProfileSourceError as error:
        if settings.profiles_source == "api":
            raise
        say(f"profile source: offline ({error.__cause__ or error})")
        used.append("offline")
        yield from islice(offline, count - given if count else None)
    finally:
        client.close()


def api_seed(seed: int) -> str:
    """The seed of the API for a seed of the command: of one length, as the API requires."""
    return f"millrace{seed % 2**64:016x}"


def profile_messages(
    profiles: Iterator[Profile], *, seed: int, invalid_ratio: float, duplicate_ratio: float
) -> Iterator[Message]:
    """Turn profiles into messages, some broken or repeated on request, none with credentials."""
    rng = Random(seed)  # noqa: S311 - test data, not secrets
    earlier: deque[Profile] = deque(maxlen=MEMORY)
    for sent in profiles:
        profile = without_credentials(sent)
        draw = rng.random()
        if draw < invalid_ratio:
            yield Message(*rng.choice(PROFILE_FAULTS).apply(profile, {}, rng))
            continue
        if draw < invalid_ratio + duplicate_ratio and earlier:
            profile = _again(rng.choice(earlier), profile, rng)
        elif duplicate_ratio and _key(profile):
            earlier.append(profile)
        yield Message(_key(profile), orjson.dumps(profile))


def examples(seed: int) -> Iterator[bytes]:
    """Yield endless valid records, as their messages have them."""
    return (orjson.dumps(without_credentials(each)) for each in offline_profiles(seed))


def without_credentials(profile: Profile) -> Profile:
    """A copy of the profile with the contract's fields, except those that must never be sent.

    Only known fields are sent, as a credential may have any other name. An object or array in place
    of a value is emptied, so that the job still finds it invalid.
    """
    return _kept(profile, _sent_fields())


def _kept(value: dict[str, Any], fields: Fields) -> dict[str, Any]:
    return {
        name: _kept_value(child, fields[name]) for name, child in value.items() if name in fields
    }


def _kept_value(value: Any, fields: Fields) -> Any:
    if isinstance(value, dict):
        return _kept(value, fields)
    return [] if isinstance(value, list) else value


@cache
def _sent_fields() -> Fields:
    """Names of fields, each with its nested fields."""
    tree: Fields = {}
    for field in load_contract("profile").fields:
        if field.sensitivity != "never":
            node = tree
            for part in field.path:
                node = node.setdefault(part, {})
    return tree


def _again(earlier: Profile, other: Profile, rng: Random) -> Profile:
    """The earlier profile again, or its id with other content."""
    if rng.random() < 0.5:
        return earlier
    login = {**(other.get("login") or {}), "uuid": earlier["login"]["uuid"]}
    return {**other, "login": login}


def _key(profile: Profile) -> bytes | None:
    login = profile.get("login")
    ident = login.get("uuid") if isinstance(login, dict) else None
    return ident.encode() if isinstance(ident, str) and ident else None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    defaults = settings_or_exit()
    parser = new_parser("profiles", "user profiles of randomuser.me or generated ones", defaults)
    parser.add_argument(
        "--count", type=int, metavar="N",
        help=f"profiles to send, 0 = without end (default: {defaults.profiles_count})",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=rate, default=0.0, metavar="R",
        help="profiles per second, 0 = unlimited (default: 0)",
    )  # fmt: skip
    parser.add_argument("--topic", metavar="NAME", help=f"(default: {defaults.profiles_topic})")
    parser.add_argument(
        "--source", choices=("auto", "api", "offline"),
        help=f"auto: the API, else offline (default: {defaults.profiles_source})",
    )  # fmt: skip
    parser.add_argument(
        "--per-request", type=int, metavar="N",
        help=f"profiles per request, 1 to 5000 (default: {defaults.profiles_per_request})",
    )  # fmt: skip
    parser.add_argument(
        "--pause-seconds", type=float, metavar="S",
        help=f"pause between requests (default: {defaults.profiles_pause_seconds:g})",
    )  # fmt: skip
    parser.add_argument("--api-url", default=BASE_URL, metavar="URL", help=f"(default: {BASE_URL})")
    options = parser.parse_args(arguments)
    check_ratios(parser, options)
    return options


def rate(text: str) -> float:
    """Read a number of messages per second."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected 0 or more, not `{text}`")
    return value


if __name__ == "__main__":
    sys.exit(main())
