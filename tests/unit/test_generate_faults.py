"""Faulty records: each really breaks the contract, in the way its reasons say."""

from __future__ import annotations

import json
from functools import cache
from itertools import islice
from random import Random
from typing import Any

import pytest

from producers.faults import PROFILE_FAULTS, TICKET_FAULTS, InjectedFault
from producers.generate import TicketGenerator
from producers.messages import Message
from producers.offline_profiles import offline_profiles
from producers.vocabulary import Language
from schemas.contract import load_contract

pytestmark = pytest.mark.unit

FRENCH = {"request": "demande", "request_type": "type", "priority": "priorite"}


def is_one_object(value: bytes) -> bool:
    """A strict reader: one JSON object in UTF-8, nothing else."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        return isinstance(json.loads(value.decode("utf-8"), parse_constant=refuse), dict)
    except ValueError:
        return False


def rng(seed: int) -> Random:
    return Random(seed)


@cache
def tickets(vocabulary: Language) -> list[Message]:
    return [*TicketGenerator(9, vocabulary=vocabulary).messages(30)]


def names(faults: tuple[InjectedFault, ...]) -> list[str]:
    return [fault.name for fault in faults]


@pytest.mark.parametrize("fault", TICKET_FAULTS, ids=names(TICKET_FAULTS))
@pytest.mark.parametrize("vocabulary", ["en", "fr"])
def test_ticket_fault_is_unparseable_or_touches_just_its_fields(
    fault: InjectedFault, vocabulary: Any
) -> None:
    aliases = FRENCH if vocabulary == "fr" else {}
    for seed, message in enumerate(tickets(vocabulary)):
        valid = json.loads(message.value)
        _, value = fault.apply(dict(valid), aliases, rng(seed))
        if fault.reasons == ("unparseable",):
            assert not is_one_object(value)
            continue
        broken = json.loads(value)
        for name in load_contract("ticket").fields:
            alias = aliases.get(name.name, name.name)
            missing = f"missing_{name.name}" in fault.reasons
            invalid = f"invalid_{name.name}" in fault.reasons
            text = broken.get(alias)
            blank = text is None or (isinstance(text, str) and not text.strip())
            assert blank == missing
            assert (not blank and text != valid[alias]) == invalid


@pytest.mark.parametrize("fault", PROFILE_FAULTS, ids=names(PROFILE_FAULTS))
def test_profile_fault_breaks_the_profile_of_an_adult(fault: InjectedFault) -> None:
    for seed, profile in enumerate(islice(offline_profiles(4), 30)):
        _, value = fault.apply(profile, {}, rng(seed))
        if fault.reasons == ("unparseable",):
            assert not is_one_object(value)
            continue
        broken = json.loads(value)
        if not any(reason.endswith("dob_date") for reason in fault.reasons):
            assert broken["dob"]["date"] == "1984-02-29T08:15:00.000Z"
        assert broken != profile


@pytest.mark.parametrize("faults", [TICKET_FAULTS, PROFILE_FAULTS], ids=["ticket", "profile"])
def test_fault_names_are_unique_and_reasons_follow_the_contract(
    faults: tuple[InjectedFault, ...],
) -> None:
    contract = load_contract("ticket" if faults is TICKET_FAULTS else "profile")
    order = [field.reason_suffix for field in contract.fields if field.required or field.values]

    assert len(set(names(faults))) == len(faults)
    for fault in faults:
        if fault.reasons != ("unparseable",):
            places = [order.index(reason.partition("_")[2]) for reason in fault.reasons]
            assert places == sorted(places)


def test_every_required_field_has_a_missing_and_an_invalid_case() -> None:
    for name, faults in (("ticket", TICKET_FAULTS), ("profile", PROFILE_FAULTS)):
        reasons = {reason for fault in faults for reason in fault.reasons}
        required = [f.reason_suffix for f in load_contract(name).fields if f.required]
        assert {f"missing_{r}" for r in required} <= reasons
        assert reasons >= {"unparseable"}


def test_message_without_a_text_key_has_none() -> None:
    no_client = next(fault for fault in TICKET_FAULTS if fault.name == "no client_id")
    number = next(fault for fault in TICKET_FAULTS if fault.name == "number as priority")
    record = {"ticket_id": "a", "client_id": "C12", "priority": "low"}

    assert no_client.apply(record, {}, rng(1))[0] is None
    assert number.apply(record, {}, rng(1))[0] == b"C12"
    assert record == {"ticket_id": "a", "client_id": "C12", "priority": "low"}
