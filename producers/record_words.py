"""Texts that look like what a field's name promises: names, places, phones, sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from producers.profile_words import COUNTRIES
from schemas.fields import FieldContract

MakeText = Callable[[Random], str]

LANDS: Final = tuple(COUNTRIES.values())
FIRST: Final = tuple(name for land in LANDS for name in f"{land.women},{land.men}".split(","))
LAST: Final = tuple(name for land in LANDS for name in land.last.split(","))
STREETS: Final = tuple(name for land in LANDS for name in land.streets.split(","))
PLACES: Final = tuple(place for land in LANDS for place in land.places)
PHONES: Final = ("+1 555 ### ####", "+33 6 ## ## ## ##", "0## ### ## ##", "(###) ###-####")
COLOURS: Final = ("amber", "blue", "coral", "green", "indigo", "olive", "red", "silver", "white")
THINGS: Final = (
    "basket", "bottle", "bridge", "cable", "chair", "engine", "filter", "garden", "harbour",
    "kettle", "ladder", "lamp", "meadow", "mill", "notebook", "orchard", "pump", "river", "sensor",
    "table",
)  # fmt: skip
SENTENCES: Final = (
    "Please check the {} before Friday.", "The {} arrived in good order.", "A second {} is needed.",
    "The {} makes an unusual noise.", "Thank you for the {}, it works well.",
)  # fmt: skip
CURRENCIES: Final = ("EUR", "USD", "GBP", "CHF", "JPY")


def _digits(rng: Random, form: str) -> str:
    return re.sub("#", lambda _: str(rng.randrange(10)), form)


def _plain(text: str) -> str:
    """ASCII letters of a name, for addresses; `x` if it has none."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub("[^a-z]", "", plain.lower()) or "x"


def email(rng: Random) -> str:
    """An address of a domain that is reserved for examples."""
    user = f"{_plain(rng.choice(FIRST))}.{_plain(rng.choice(LAST))}{rng.randrange(10_000)}"
    return f"{user}@example.{rng.choice(('com', 'net', 'org'))}"


def _phone(rng: Random) -> str:
    return _digits(rng, rng.choice(PHONES))


def _street(rng: Random) -> str:
    return f"{rng.randrange(1, 200)} {rng.choice(STREETS)}"


def _address(rng: Random) -> str:
    return f"{_street(rng)}, {_digits(rng, '#####')} {rng.choice(PLACES)[0]}"


def _full_name(rng: Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def _thing(rng: Random) -> str:
    return f"{rng.choice(COLOURS)} {rng.choice(THINGS)}"


def sentence(rng: Random) -> str:
    """A short sentence."""
    return rng.choice(SENTENCES).format(_thing(rng))


def _ip(rng: Random) -> str:
    return f"192.0.2.{rng.randrange(1, 255)}"


def _choice(texts: Iterable[str]) -> MakeText:
    choices = (*texts,)
    return lambda rng: rng.choice(choices)


def _code(rng: Random) -> str:
    """A name for one of a thousand things, so that they come again."""
    return f"{rng.choice('ABC')}{rng.randrange(1000, 1333)}"


# Words of a field's name -> its texts; the first that fits counts.
FAMILIAR: Final[tuple[tuple[str, MakeText], ...]] = (
    ("id code number no key ref reference sku", _code),
    ("email mail", email),
    ("phone mobile telephone tel cell fax", _phone),
    ("firstname first forename given", _choice(FIRST)),
    ("lastname last surname family", _choice(LAST)),
    ("username login user nickname", lambda rng: f"{rng.choice(COLOURS)}{rng.choice(THINGS)}"),
    ("street", _street),
    ("address", _address),
    ("city town place", _choice(place[0] for place in PLACES)),
    ("state region province county", _choice(place[1] for place in PLACES)),
    ("country nation", _choice(land.name for land in LANDS)),
    ("zip postcode postal plz", lambda rng: _digits(rng, "#####")),
    ("currency", _choice(CURRENCIES)),
    ("ip", _ip),
    ("url link website uri", lambda rng: f"https://example.com/{rng.choice(THINGS)}"),
    ("comment description message text note notes body subject title remark", sentence),
    ("product item article goods", _thing),
    ("company shop store merchant", lambda rng: f"{rng.choice(LAST)} & {rng.choice(LAST)}"),
    ("name fullname customer person owner", _full_name),
)
# The same in short, if pattern or lengths refuse the long form.
SHORT: Final[tuple[tuple[str, MakeText], ...]] = (
    ("country nation nationality", _choice(COUNTRIES)),
    ("lang language locale", _choice(("en", "fr", "de", "es", "nl"))),
)
NORMALISED: Final[dict[str, MakeText]] = {"email": email, "phone": _phone, "address": _address}


def familiar_texts(field: FieldContract) -> list[MakeText]:
    """Return the ways in which texts of a field are made, the usual one first.

    None if neither its contract nor its name says what it is.
    """
    if field.normalise in NORMALISED:
        return [NORMALISED[field.normalise]]
    # `customerName`, `customer_name` and `customer.name` have the same two words.
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.name)
    words = re.split(r"[._]+", split.lower())
    for mine in (words[-1:], words):
        ways = [make for known, make in (*FAMILIAR, *SHORT) if {*known.split()} & {*mine}]
        if ways:
            return ways
    return []


def word(rng: Random) -> str:
    """Two words for whatever has no familiar name."""
    return f"{rng.choice(COLOURS)}-{rng.choice(THINGS)}"
