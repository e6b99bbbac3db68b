"""Likely personal data, by the name of a field and by its values.

A doubt counts as personal: a digest can still be counted and compared, and what a store once held
in clear is hard to take back.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from operations.new.observed import Observed
from operations.new.words import words_of
from schemas.contract import WHITE_SPACE
from schemas.keywords import Normalisation
from schemas.types import FORMATS

# How many of the values must look like it.
LEAST_SHARE: Final = 0.8
MOST_VALUES: Final = 2_000
EMAIL, NAME, BIRTH = "an e-mail address", "a person's name", "a birth"


@dataclass(frozen=True)
class Personal:
    """Why a field is taken for personal data, and what becomes of it.

    Attributes:
        sensitivity: `hashed`, or `never` for what must not be sent at all.
        normalise: How it is normalised before its digest.
        why: The reason, for a comment.
    """

    sensitivity: Literal["hashed", "never"]
    normalise: Normalisation
    why: str


@dataclass(frozen=True)
class _Topic:
    """Names of one kind of data: whole words, and parts of all words joined."""

    what: str
    normalise: Normalisation
    words: frozenset[str]
    parts: tuple[str, ...] = ()

    @property
    def is_words(self) -> bool:
        """Whether numbers cannot be it: a `last_login` of 1767323045 is no person's name."""
        return self.what in (EMAIL, NAME)

    def named_by(self, words: Sequence[str]) -> bool:
        joined = "".join(words)
        return not self.words.isdisjoint(words) or any(part in joined for part in self.parts)


def _topic(what: str, normalise: Normalisation, words: str, parts: str = "") -> _Topic:
    return _Topic(what, normalise, frozenset(words.split()), tuple(parts.split()))


SECRETS: Final = _topic(
    "a secret",
    "text",
    "password passwd pwd passwort kennwort contrasena secret cvv cvc pin",
    "motdepasse apikey accesstoken refreshtoken privatekey clientsecret authtoken sessiontoken",
)
# The first that fits counts: an `ip_address` is no postal address.
TOPICS: Final = (
    _topic(EMAIL, "email", "mail", "email courriel correo"),
    _topic("an IP or device address", "text", "ip ipv4 ipv6 mac", "ipaddress remoteaddr clientip"),
    _topic(
        "a phone number",
        "phone",
        "phone tel mobile cell handy fax gsm msisdn movil",
        "telephone telefon phonenumber",
    ),
    _topic(
        "an identity, card or account number",
        "text",
        "iban ssn passport passeport reisepass nif dni nie nir cpf nino konto compte cuenta imei",
        "socialsecurity securitesociale nationalid personalausweis steuernummer steuerid taxid"
        " creditcard cardnumber kreditkarte cartebancaire accountnumber accountno bankaccount"
        " kontonummer licensenumber driverslicense",
    ),
    _topic(
        BIRTH,
        "text",
        "dob birth",
        "birthday birthdate dateofbirth naissance geburt nacimiento nascita",
    ),
    _topic(
        NAME,
        "text",
        "surname forename prenom vorname nachname apellido apellidos cognome nickname login"
        " username holder inhaber titulaire titular payee payer debtor creditor beneficiary",
        "firstname lastname fullname middlename displayname username realname kontoinhaber"
        " empfanger empfaenger auftraggeb begunstigt beguenstigt beneficiair beneficiari"
        " cardholder nomdefamille",
    ),
    _topic(
        "a postal address",
        "address",
        "address addr street rue calle strasse zip zipcode postcode plz",
        "adresse anschrift direccion strasse postal domicil wohnort streetname",
    ),
)
NAMES: Final = frozenset(("name", "names", "nom", "nombre"))
PERSONS: Final = frozenset(
    "customer client kunde user utilisateur benutzer usuario passenger driver patient employee"
    " buyer seller author owner contact guest student member recipient sender person people"
    " cliente mitarbeiter fahrer".split()
)
# What a name names that is not a person.
THINGS: Final = frozenset(
    "product item file host event station sensor device brand company shop store category country"
    " city region state campaign app service server job table column field course team department"
    " project model plan site page article artikel produit producto pays ville stadt land bank"
    " currency metric queue topic domain firma entreprise empresa tag path zone borough machine"
    " vehicle route line stop warehouse merchant vendor class type group channel".split()
)
# A name that ends so says something about personal data, but is none.
ABOUT: Final = frozenset(
    "id ids uuid key type kind status count verified valid flag hash country state city domain"
    " enabled total version confirmed".split()
)
STREET_PARTS: Final = frozenset(("line", "line1", "line2", "number", "house", "nr", "no", "unit"))
PHONE: Final = re.compile(
    # A leading `+`, or separators: digits alone may be any number.
    r"\+[0-9][0-9 ()./-]{6,22}|(?=[0-9]*[ (/-])(?:0|\()[0-9][0-9 ()./-]{6,22}"
    r"|[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}"
)
# A year at the end or the beginning: a social security number is `123-45-6789`.
DATE: Final = re.compile(
    r"(?:[0-9]{4}([-./ ])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-./ ])[0-9]{1,2}\2[0-9]{2,4})"
    r"(?:[T ].*)?"
)
NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
CARD: Final = re.compile(r"[0-9]{4}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{3,4}")
EMAIL_INSIDE: Final = re.compile(
    # Only where a word begins, so that a long text without any is read once.
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
PERSON_NAME: Final = re.compile(r"[^\W\d_][\w'’.-]+(?: [^\W\d_][\w'’.-]*)+")


def personal(observed: Observed, pipeline: str = "") -> Personal | None:
    """Return why a field is likely personal data; None if nothing says so.

    Args:
        observed: The field with its values.
        pipeline: What the records are, which says what a bare `name` names.
    """
    values = _scalars(observed.filled)
    if not values or all(isinstance(value, bool) for value in values):
        return None
    texts = [str(value).strip(WHITE_SPACE) for value in values[:MOST_VALUES]]
    return _by_name(observed.path, pipeline, texts) or _by_values(texts)


def secret_in(observed: Observed) -> Personal | None:
    """Return why what no field can be must never be sent; None if nothing says so.

    Its own name counts, and those of objects inside its values.
    """
    named, rest = {observed.path[-1]: observed.filled}, [*observed.filled]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest += value.values()
            for name, inner in value.items():
                named.setdefault(name, []).append(inner)
        elif isinstance(value, list):
            rest += value
    for name, values in named.items():
        found = [each for each in _scalars(values) if each is not None]
        are_flags = found and all(isinstance(each, bool) for each in found)
        if not are_flags and _is_secret(words_of(name), [*map(str, found)]):
            whose = "its name" if name == observed.path[-1] else "a name inside it"
            return Personal("never", "text", f"{whose} means a secret")
    return None


def _is_secret(words: Sequence[str], texts: Sequence[str]) -> bool:
    if not words or words[-1] in ABOUT - {"hash", "key"}:
        return False
    is_named = SECRETS.named_by(words) or SECRETS.named_by([*map(_singular, words)])
    return is_named and not (texts and _share(texts, DATE.fullmatch) >= LEAST_SHARE)


def _scalars(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found += _scalars(value) if isinstance(value, list) else [value]
    return [value for value in found if not isinstance(value, dict)]


def _by_name(path: Sequence[str], pipeline: str, texts: Sequence[str]) -> Personal | None:
    words = words_of(path[-1])
    around = [word for name in (pipeline, *path[:-1]) for word in words_of(name)]
    are_times = _share(texts, DATE.fullmatch) >= LEAST_SHARE
    are_numbers = _share(texts, NUMBER.fullmatch) >= LEAST_SHARE
    if not words:
        return None
    if _is_secret(words, texts):
        return Personal("never", "text", "its name means a secret")
    # What is in an object of secrets, such as `api_keys.live`.
    if words[-1] not in ABOUT and any(_is_secret(words_of(each), texts) for each in path[:-1]):
        return Personal("never", "text", "it is in an object whose name means a secret")
    # A `tax_id` is not about the data, but the data.
    is_whole = any("".join(words).endswith(topic.parts) for topic in TOPICS)
    if words[-1] in ABOUT and not is_whole:
        return None
    for topic in TOPICS:
        is_possible = topic.what == BIRTH or not (are_times or (are_numbers and topic.is_words))
        if is_possible and topic.named_by(words):
            return _named(topic.what, topic.normalise)
    parents = [word for name in path[:-1] for word in words_of(name)]
    if TOPICS[-1].named_by(parents) and not STREET_PARTS.isdisjoint(words):
        return _named("part of a postal address", "address")
    if words[-1] in NAMES and not are_numbers:
        # The nearest word says what is named: `product_name`, `customer.name`.
        nearest = [_singular(word) for word in (*reversed(words[:-1]), *reversed(around))]
        known = next((word for word in nearest if word in THINGS | PERSONS), None)
        return None if known in THINGS else _named(NAME, "text")
    if _singular(words[-1]) in PERSONS and _share(texts, PERSON_NAME.fullmatch) >= LEAST_SHARE:
        return _named("a person, and its values are like names", "text")
    return None


def _singular(word: str) -> str:
    return word.removesuffix("s") if word not in THINGS else word


def _named(what: str, normalise: Normalisation) -> Personal:
    return Personal("hashed", normalise, f"its name means {what}")


def _by_values(texts: Sequence[str]) -> Personal | None:
    if any(re.fullmatch(FORMATS["email"], text) and "." in text for text in texts):
        are_all = _share(texts, re.compile(FORMATS["email"]).fullmatch) == 1
        way: Normalisation = "email" if are_all else "text"
        return Personal("hashed", way, "values are e-mail addresses")
    if any(EMAIL_INSIDE.search(text) for text in texts):
        return Personal("hashed", "text", "texts contain e-mail addresses")
    if _share(texts, _is_ip) >= LEAST_SHARE:
        return Personal("hashed", "text", "values are IP addresses")
    if _share(texts, _is_iban) >= LEAST_SHARE:
        return Personal("hashed", "text", "values are IBANs")
    if _share(texts, _is_card) >= LEAST_SHARE and len({*texts}) > 2:
        return Personal("hashed", "text", "values are like card numbers")
    if _share(texts, _is_phone) >= LEAST_SHARE:
        return Personal("hashed", "phone", "values are like phone numbers")
    return None


def _share(texts: Sequence[str], check: Callable[[str], Any]) -> float:
    return sum(bool(check(text)) for text in texts) / len(texts)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # A whole number is read as an address, too, and `::` is a separator.
    return text.count(".") == 3 or text.count(":") > 1


def _is_phone(text: str) -> bool:
    digits = sum(character.isdigit() for character in text)
    return bool(PHONE.fullmatch(text)) and 8 <= digits <= 15 and not DATE.fullmatch(text)


def _is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616: modulo 97 of the moved text is 1)."""
    plain = text.replace(" ", "").upper()
    if not IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812: the Luhn sum is a multiple of ten)."""
    if not CARD.fullmatch(text):
        return False
    digits = [int(each) for each in reversed(text) if each.isdigit()]
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
