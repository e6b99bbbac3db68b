"""Shown messages hold nothing sensitive."""

from __future__ import annotations

import json

import pytest

from operations.masking import MASK, UNREADABLE, masked_value
from schemas.contract import contract_from, load_contract


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
