"""Shown messages hold nothing sensitive."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from operations.masking import (
    MASK,
    UNREADABLE,
    hidden_aggregates,
    masked_value,
    read,
    written,
)
from schemas.contract import contract_from, load_contract
from spark_jobs.aggregates import Aggregate, count, maximum, total
from spark_jobs.customers import CUSTOMERS


def test_shown_ticket_hides_its_text_and_unknown_fields() -> None:
    value = json.dumps(
        {
            "ticket_id": "A1",
            "request": "call me on 555",
            "demande": "appelez 555",
            "note": "555",
            "priorite": "haute",
        }
    ).encode()

    shown = json.loads(masked_value(value, load_contract("ticket")))

    assert shown == {
        "ticket_id": "A1",
        "request": MASK,
        "demande": MASK,
        "note": MASK,
        "priorite": "haute",
    }


def test_unknown_name_is_shown_only_if_it_looks_like_one() -> None:
    value = json.dumps(
        {
            "anna@example.com": "x",
            "+33 1 23": "x",
            "due_date": "x",
            "client_id": {"bob@example.com": 1, "x-id.v2": 2},
        }
    ).encode()

    shown = json.loads(masked_value(value, load_contract("ticket")))

    assert shown == {MASK: MASK, "due_date": MASK, "client_id": {MASK: MASK, "x-id.v2": MASK}}


def test_name_of_the_contract_is_shown_whatever_it_looks_like() -> None:
    field = {"type": "string", "x-id": True, "x-column": "id", "x-sensitivity": "public"}
    document = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": field | {"x-other-names": ["N° de client"]}},
    }
    contract = contract_from("orders", document, stands_alone=True)

    shown = json.loads(masked_value('{"N° de client": "A1"}'.encode(), contract))

    assert shown == {"N° de client": "A1"}


def test_shown_profile_hides_everything_personal_at_any_depth() -> None:
    value = json.dumps(
        {
            "email": "a@b.c",
            "name": {"first": "Ann", "last": ["x"]},
            "location": {"city": "Paris", "street": {"number": 5}},
            "login": {"uuid": "u", "password": "p"},
            "nat": "FR",
        }
    ).encode()

    shown = masked_value(value, load_contract("profile"))

    for hidden in ("a@b.c", "Ann", "Paris", '"x"', "5", '"p"'):
        assert hidden not in shown
    assert json.loads(shown)["nat"] == "FR"


@pytest.mark.parametrize(
    "number", ["0.10000000000000000001", "1e400", "-1.50", "12345678901234567890", "1E+2"]
)
def test_public_numbers_are_shown_as_they_were_sent(number: str) -> None:
    document = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "x-id": True, "x-sensitivity": "public", "x-column": "id"},
            "amounts": {
                "type": "array",
                "items": {"type": "number"},
                "x-sensitivity": "public",
                "x-column": "amounts",
            },
        },
    }
    contract = contract_from("orders", document)

    shown = masked_value(f'{{"id":"A","amounts":[{number}]}}'.encode(), contract)

    assert shown == f'{{"id": "A", "amounts": [{number}]}}'
    assert written(read(shown), indent=0) == f'{{\n"id": "A",\n"amounts": [\n{number}\n]\n}}'


def test_aggregates_that_show_personal_values_are_hidden() -> None:
    by_city = Aggregate("by_city", ("city",), {"count": count()})
    oldest = Aggregate("oldest", ("country",), {"count": count(), "last": maximum("last_name")})
    by_country = Aggregate("by_country", ("country",), {"spent": total("amount")})

    assert hidden_aggregates(replace(CUSTOMERS, aggregates=(by_city, oldest, by_country))) == {
        "by_city",
        "oldest",
    }


@pytest.mark.parametrize("value", [b"\xff secret", b"[1]", b'"secret"', b"", None])
def test_unreadable_values_are_not_shown(value: bytes | None) -> None:
    assert "secret" not in masked_value(value, load_contract("ticket"))


def test_a_public_array_is_shown_but_nothing_nested_in_it() -> None:
    document = {
        "type": "object",
        "properties": {
            name: {"type": "array", "items": {"type": "string"}, "x-sensitivity": sensitivity}
            for name, sensitivity in (("tags", "public"), ("names", "personal"))
        },
    }
    value = b'{"tags": ["a", 1, {"b": "secret"}, ["secret"]], "names": ["secret"]}'

    shown = json.loads(masked_value(value, contract_from("lists", document)))

    assert shown == {"tags": ["a", 1, MASK, MASK], "names": MASK}


def test_byte_order_mark_that_makes_a_message_unreadable_is_shown() -> None:
    plain = b'{"ticket_id": "A-1", "request": "secret"}'
    contract = load_contract("ticket")

    shown = masked_value(b"\xef\xbb\xbf" + plain, contract)

    assert shown == '<byte order mark>{"ticket_id": "A-1", "request": "•••"}'
    assert masked_value(plain, contract) == shown.removeprefix("<byte order mark>")
    # Two are no object, and other encodings are not valid UTF-8.
    for value in (b"\xef\xbb\xbf" * 2 + plain, plain.decode().encode("utf-16")):
        assert masked_value(value, contract) == UNREADABLE.format(len(value))
