"""Words of names: how they are split, which mean what, and which no column may be.

Names come in English, French, German and Spanish, in any of `snake_case`, `camelCase`, `Two words`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Final

from schemas.reserved_words import RESERVED_IN_CQL, RESERVED_IN_SPARK, RESERVED_IN_SQL

_BORDERS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_IDS: Final = (
    "id ids uuid guid key code ref reference referenz referencia nr no num number nummer numero"
    " sku isbn identifiant identificador kennung clave oid pk"
)
IDS: Final = frozenset(_IDS.split())
# Names whose digits are no number: zeros in front count, and nothing is added up.
TEXTS: Final = frozenset(
    "zip zipcode postal postcode postleitzahl plz phone tel telephone telefon telefono fax"
    " mobile iban bic account konto kontonummer compte cuenta siret siren vat sku isbn ean gtin"
    " imei code version".split()
)
# What is measured again and again, so that its id identifies it and not the record.
ENTITIES: Final = frozenset(
    "sensor device station machine meter vehicle host probe gateway server node capteur gerat"
    " maschine dispositivo estacion".split()
)
# Places on the earth: their average says nothing.
PLACES: Final = frozenset("lat latitude lon lng long longitude breite lange x y z".split())
MONEY: Final = frozenset(
    "amount price total subtotal cost balance fee fees tax vat revenue salary fare tip toll"
    " discount payment credit debit sum net gross montant prix cout solde frais taxe betrag"
    " preis summe saldo gebuhr steuer umsatz kosten importe precio coste impuesto descuento"
    " surcharge refund budget".split()
)
CENTS: Final = frozenset("cent cents centimes centimos minor pence".split())
# What a sum of integers says something about.
ADDITIVE: Final = frozenset(
    "quantity qty count units items bytes size duration distance views clicks menge anzahl"
    " quantite nombre cantidad seats passengers hits length weight volume points".split()
)
TIMES: Final = frozenset(
    "time timestamp ts at date datetime created updated epoch when on since datum zeit uhrzeit"
    " zeitpunkt zeitstempel heure horodatage jour fecha hora moment instant occurred recorded"
    " measured received sent millis seconds micros ms valuta buchungstag".split()
)
# Of several times, when it happened comes before when something else will be or was.
FIRST_TIMES: Final = (
    "created_at timestamp event_time event_timestamp occurred_at recorded_at measured_at time"
    " ts datetime at date ordered_at sent_at received_at"
).split()
LATER_TIMES: Final = frozenset(
    "updated modified changed expires expiry expiration due deleted shipped delivered closed"
    " until end ended stop dropoff birth birthday dob naissance geburt geburtsdatum nacimiento"
    " last valid maturity".split()
)
# Sets of values that grow: no reason to refuse a value that the sample does not have.
OPEN_SETS: Final = frozenset(
    "country pays land pais nationality currency devise wahrung moneda waehrung city ville"
    " stadt ciudad region state province borough zone location language langue sprache idioma"
    " locale timezone brand marque marke marca product produit produkt producto host hostname"
    " server url path page referer referrer agent browser device sensor station site store shop"
    " campaign source name model version unit title description id code user customer client"
    " bank merchant vendor author".split()
)
# Best first: the dimension that a table is read by.
LIKELY_DIMENSIONS: Final = (
    "status state type kind category country pays land pais channel method level severity"
    " priority currency event action region city source"
).split()
# Names are written without quotes in CQL, SQL and Spark SQL.
KEYWORDS: Final = RESERVED_IN_CQL | RESERVED_IN_SQL | RESERVED_IN_SPARK


def unaccented(text: str) -> str:
    """The text in ASCII: `Straße` is `Strasse`, what has no such form is left out."""
    text = text.replace("ß", "ss").replace("ø", "o").replace("æ", "ae").replace("œ", "oe")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, without accents."""
    return [word.lower() for word in _BORDERS.split(unaccented(name)) if word]


def snake_case(names: Sequence[str]) -> str:
    """The words of one or more names joined by `_`; `field` if there is none."""
    return "_".join(word for name in names for word in words_of(name)) or "field"


def unique(name: str, taken: Collection[str], longest: int) -> str:
    """The name, cut to its length, with a number if it is taken."""
    cut, number = name[:longest].rstrip("_"), 1
    found = cut
    while found in taken:
        number += 1
        found = f"{cut[: longest - len(str(number)) - 1]}_{number}"
    return found


def has_any(words: Sequence[str], known: Collection[str]) -> bool:
    """Whether any of the words is known, in the singular or plural."""
    return any(word in known or word.removesuffix("s") in known for word in words)
