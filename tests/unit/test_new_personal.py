"""Fields that `millrace new` takes for personal data."""

from __future__ import annotations

import time
from typing import Any

import pytest

from operations.new.observed import Observed
from operations.new.personal import personal


def found(name: str, *values: Any, pipeline: str = "orders") -> str | None:
    """How it is normalised, `never`, or None."""
    path = tuple(name.split("."))
    is_personal = personal(Observed(path, values, (len(values),)), pipeline)
    if is_personal is None:
        return None
    return "never" if is_personal.sensitivity == "never" else is_personal.normalise


@pytest.mark.parametrize(
    ("name", "normalise"),
    [
        *(
            ("email", "email"),
            ("contactEmail", "email"),
            ("E-Mail", "email"),
            ("courriel", "email"),
        ),
        *(("phone_number", "phone"), ("Telefonnummer", "phone"), ("mobile", "phone")),
        *(("téléphone", "phone"), ("address", "address"), ("shipping_address", "address")),
        *(("Straße", "address"), ("rue", "address"), ("Anschrift", "address"), ("zip", "address")),
        *(
            ("firstName", "text"),
            ("nom_de_famille", "text"),
            ("Nachname", "text"),
            ("name", "text"),
        ),
        *(("customer.name", "text"), ("Kontoinhaber", "text"), ("Auftraggeber/Empfänger", "text")),
        *(("client_ip", "text"), ("ip_address", "text"), ("remoteAddr", "text"), ("IBAN", "text")),
        *(("geburtsdatum", "text"), ("date_of_birth", "text"), ("fecha_nacimiento", "text")),
        *(("national_id", "text"), ("taxId", "text"), ("Steuer-ID", "text")),
        *(("passport", "text"), ("Kontonummer", "text"), ("cardNumber", "text"), ("ssn", "text")),
        *(("password", "never"), ("password_hash", "never"), ("mot_de_passe", "never")),
        *(("apiKey", "never"), ("address.line1", "address"), ("billing.address.number", "address")),
    ],
)
def test_a_name_says_that_data_is_personal(name: str, normalise: str) -> None:
    assert found(name, "x") == normalise


@pytest.mark.parametrize(
    "name",
    [
        *("product_name", "product.name", "file_name", "Ville", "pays", "order_id", "address_id"),
        *("email_verified", "phone_type", "email_domain", "zip_count", "status", "amount", "tip"),
        *("description", "address.city", "address.country", "user_agent", "recipe", "shipping"),
        *("national_id_type", "tax", "password_count"),
        *("filename", "hostname", "domain", "mailing_count", "name_count"),
    ],
)
def test_a_name_about_something_else_is_not_personal(name: str) -> None:
    assert found(name, "x") is None


def test_the_pipeline_says_what_a_bare_name_names() -> None:
    assert found("name", "A", pipeline="products") is None
    assert found("name", "A", pipeline="sensor_stations") is None
    assert found("name", "A", pipeline="customers") == "text"
    assert found("customer", "Ada Lovelace", pipeline="orders") == "text"
    assert found("customer", "C-17", pipeline="orders") is None


def test_times_and_flags_are_no_persons() -> None:
    assert found("last_login", "2026-01-02T03:04:05Z") is None
    assert found("last_login", 1_767_323_045) is None
    assert found("email", True) is None
    assert found("phone_changed", "2026-01-02") is None
    assert found("birth_date", "1990-01-02") == "text"
    assert found("phone", 33612345678) == "phone"


def test_a_social_security_number_is_no_date() -> None:
    assert found("ssn", "123-45-6789", "987-65-4321") == "text"


def test_a_long_text_without_an_address_is_read_once() -> None:
    begin = time.perf_counter()

    assert found("body", "x" * 1_000_000) is None
    assert found("body", f"{'x' * 1_000_000} a@example.com") == "text"
    # From each of its characters to its end would be hours.
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize(
    ("values", "normalise"),
    [
        (["a@example.com"] * 3, "email"),
        (["a@example.com", "guest"], "text"),
        (["call a@example.com", "x"], "text"),
        (["192.0.2.1", "2001:db8::1"], "text"),
        (["+1 202 555 0100", "(030) 1234-567"], "phone"),
        (["202-555-0100"], "phone"),
        (["DE89 3704 0044 0532 0130 00"], "text"),
        # The Luhn sums of these test numbers are multiples of ten.
        (["4111111111111111", "5500 0055 5555 5559", "4012888888881881"], "text"),
        ([["a@example.com"], []], "email"),
    ],
)
def test_values_say_that_data_is_personal(values: list[Any], normalise: str) -> None:
    assert found("x", *values) == normalise


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-02", "01-02-2026", "02.01.2026"],
        ["1.2.3", "1.2.4"],
        ["0012345678", "0012345679"],
        ["DE89370400440532013001"],  # wrong check digits
        ["4111111111111112"] * 3,
        ["@handle", "a @ b"],
        [12345678901, 5],
        ["::", "a:b:c"],
        ["00:11:22"],
        [{}],
    ],
)
def test_values_that_are_only_similar_are_not_personal(values: list[Any]) -> None:
    assert found("x", *values) is None
