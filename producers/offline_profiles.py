"""Profiles without the network, in the form of randomuser.me 1.4, with cases the API never gives.

The API's people are all adults, complete, and at example.com. These also include minors, birthdays
around today, other e-mail domains, missing optional fields, and namesakes: the same name and e-mail
with another `login.uuid`.
"""

from __future__ import annotations

import time
import unicodedata
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

from producers.profile_words import COUNTRIES, EMAIL_DOMAINS, Country

Profile = dict[str, Any]

MINOR_SHARE: Final = 0.06
BIRTHDAY_SHARE: Final = 0.02
NAMESAKE_SHARE: Final = 0.02
INCOMPLETE_SHARE: Final = 0.05
LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXY"
PORTRAITS: Final = "https://randomuser.me/api/portraits"
# Fields that an incomplete profile may lack; all are optional in the contract.
OPTIONAL: Final = (
    "gender", "phone", "cell", "location", "registered", "nat", "picture", "id", "name.title",
    "login.username", "location.street", "location.postcode", "location.state",
)  # fmt: skip


def offline_profiles(seed: int, *, clock: Callable[[], float] = time.time) -> Iterator[Profile]:
    """Yield endless profiles; the same seed and clock give the same ones.

    Args:
        seed: Determines everything but the dates.
        clock: Seconds since 1970, from which ages are counted back.
    """
    rng = Random(seed)  # noqa: S311 - test data, not secrets
    earlier: deque[Profile] = deque(maxlen=200)
    codes, shares = [*COUNTRIES], [country.share for country in COUNTRIES.values()]
    while True:
        [code] = rng.choices(codes, shares)
        now = datetime.fromtimestamp(int(clock()), UTC)
        profile = _profile(rng, code, COUNTRIES[code], now)
        if earlier and rng.random() < NAMESAKE_SHARE:
            namesake = rng.choice(earlier)
            profile.update(name=dict(namesake["name"]), email=namesake["email"])
        earlier.append({"name": dict(profile["name"]), "email": profile["email"]})
        if rng.random() < INCOMPLETE_SHARE:
            _take_out(profile, rng.sample(OPTIONAL, rng.randint(1, 4)), rng)
        yield profile


def _profile(rng: Random, code: str, country: Country, now: datetime) -> Profile:
    gender = rng.choice(("female", "male"))
    first = rng.choice((country.women if gender == "female" else country.men).split(","))
    last = rng.choice(country.last.split(","))
    title = "Mr" if gender == "male" else rng.choice(("Miss", "Ms", "Mrs"))
    born = _birth(rng, now)
    registered = now - timedelta(seconds=rng.randrange(86_400, 20 * 31_557_600))
    portrait = f"{'men' if gender == 'male' else 'women'}/{rng.randrange(100)}.jpg"
    return {
        "gender": gender,
        "name": {"title": title, "first": first, "last": last},
        "location": _location(rng, country),
        "email": _email(rng, first, last),
        "login": _login(rng),
        "dob": {"date": _text(born, rng), "age": _age(born.date(), now.date())},
        "registered": {
            "date": _text(registered, rng),
            "age": _age(registered.date(), now.date()),
        },
        "phone": _filled(rng, rng.choice(country.phones)),
        "cell": _filled(rng, rng.choice(country.cells)),
        "id": {
            "name": country.id_name,
            "value": _filled(rng, country.id_value) if country.id_value else None,
        },
        "picture": {
            "large": f"{PORTRAITS}/{portrait}",
            "medium": f"{PORTRAITS}/med/{portrait}",
            "thumbnail": f"{PORTRAITS}/thumb/{portrait}",
        },
        "nat": code,
    }


def _location(rng: Random, country: Country) -> dict[str, Any]:
    city, state = rng.choice(country.places)
    postcode = _filled(rng, country.postcode)
    return {
        "street": {
            "number": rng.randrange(1, 9999),
            "name": rng.choice(country.streets.split(",")),
        },
        "city": city,
        "state": state,
        "country": country.name,
        "postcode": int(postcode) if country.numeric_postcode else postcode,
        "coordinates": {
            "latitude": f"{rng.uniform(-90, 90):.4f}",
            "longitude": f"{rng.uniform(-180, 180):.4f}",
        },
        "timezone": {"offset": country.offset, "description": country.zone},
    }


def _login(rng: Random) -> dict[str, str]:
    """A login with the credentials that the API sends too; producers remove them."""
    return {
        "uuid": str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
        "username": f"{rng.choice(ADJECTIVES)}{rng.choice(ANIMALS)}{rng.randrange(100, 1000)}",
        "password": rng.choice(ANIMALS) + str(rng.randrange(100)),
        "salt": rng.randbytes(4).hex(),
        "md5": rng.randbytes(16).hex(),
        "sha1": rng.randbytes(20).hex(),
        "sha256": rng.randbytes(32).hex(),
    }


ADJECTIVES: Final = ("happy", "silver", "tiny", "organic", "purple", "lazy", "brown", "crazy")
ANIMALS: Final = ("panda", "goose", "zebra", "koala", "tiger", "swan", "frog", "ostrich")


def _email(rng: Random, first: str, last: str) -> str:
    plain = unicodedata.normalize("NFKD", f"{first}.{last}".lower())
    local = "".join(c for c in plain if c.isalnum() or c == ".")
    [domain] = rng.choices([*EMAIL_DOMAINS], [*EMAIL_DOMAINS.values()])
    return f"{local}@{domain}"


def _birth(rng: Random, now: datetime) -> datetime:
    """A time of birth 14 to 90 years ago; for some 4 to 13, for some with a birthday near today."""
    draw = rng.random()
    if draw < BIRTHDAY_SHARE:
        years, days = rng.choice((13, 14, 18)), rng.choice((-1, 0, 1))
    elif draw < BIRTHDAY_SHARE + MINOR_SHARE:
        years, days = rng.randrange(4, 13), rng.randrange(1, 366)
    else:
        years, days = int(rng.triangular(14, 90, 36)), rng.randrange(1, 360)
    try:
        birthday = now.replace(year=now.year - years)
    except ValueError:
        birthday = now.replace(year=now.year - years, day=28)
    midnight = birthday.replace(hour=0, minute=0, second=0)
    return midnight - timedelta(days=days) + timedelta(seconds=rng.randrange(86_400))


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _text(moment: datetime, rng: Random) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rng.randrange(1000):03}Z"


def _filled(rng: Random, form: str) -> str:
    """The form with `#` and `@` replaced; the first digit is never 0, as numbers need."""
    text = ""
    for sign in form:
        if sign == "#":
            text += rng.choice("123456789" if not text else "0123456789")
        else:
            text += rng.choice(LETTERS) if sign == "@" else sign
    return text


def _take_out(profile: Profile, paths: list[str], rng: Random) -> None:
    """Remove optional fields, or set them to null."""
    for path in paths:
        parent: Any = profile
        *parents, leaf = path.split(".")
        for part in parents:
            parent = parent.get(part) or {}
        if rng.random() < 0.5:
            parent.pop(leaf, None)
        elif parent:
            parent[leaf] = None
