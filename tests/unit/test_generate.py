"""Generated tickets: repeatable, shaped by the contract, skewed like real ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from producers.generate import TicketGenerator
from producers.messages import Message

pytestmark = pytest.mark.unit

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def made(seed: int = 1, count: int = 3000, **options: object) -> list[Message]:
    generator = TicketGenerator(seed, clock=lambda: NOON, **options)  # type: ignore[arg-type]
    return list(generator.messages(count))


@pytest.mark.parametrize("vocabulary", ["en", "fr"])
def test_same_seed_makes_the_same_bytes(vocabulary: str) -> None:
    first, again, other = (
        made(seed, vocabulary=vocabulary, invalid_ratio=0.1, duplicate_ratio=0.1)
        for seed in (5, 5, 6)
    )

    assert first == again
    assert first != other


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    assert made(5, 10) == made(5, 3000)[:10]


def test_count_zero_has_no_end() -> None:
    endless = TicketGenerator(1).messages(0)

    assert len({next(endless).value for _ in range(2500)}) == 2500


def test_english_tickets_have_the_contracts_names_and_values() -> None:
    for key, value in made():
        ticket = json.loads(value)
        assert list(ticket) == [
            "ticket_id", "client_id", "created_at", "request", "request_type", "priority",
        ]  # fmt: skip
        assert UUID.fullmatch(ticket["ticket_id"])
        assert re.fullmatch(r"CLIENT_[0-9]{4}", ticket["client_id"])
        assert key == ticket["client_id"].encode()
        assert 1 <= len(ticket["request"]) <= 500
        assert "{" not in ticket["request"]
        assert ticket["request_type"] in {"billing", "technical", "account", "general"}
        assert ticket["priority"] in {"low", "medium", "high", "critical"}


def test_french_tickets_have_the_names_and_values_of_the_french_system() -> None:
    types, priorities = set(), set()
    for key, value in made(vocabulary="fr"):
        ticket = json.loads(value)
        assert list(ticket) == [
            "ticket_id", "client_id", "created_at", "demande", "type", "priorite",
        ]  # fmt: skip
        assert re.fullmatch(r"[0-9A-Z]{8}", ticket["ticket_id"])
        assert re.fullmatch(r"C[0-9]{4}", ticket["client_id"])
        assert key == ticket["client_id"].encode()
        types.add(ticket["type"])
        priorities.add(ticket["priorite"])

    assert types == {"facturation", "technique", "support", "compte", "général"}
    assert priorities == {
        "basse", "faible", "moyenne", "normale", "haute", "urgent", "urgente", "critique",
    }  # fmt: skip


def test_tickets_are_created_in_the_five_minutes_before_they_are_sent() -> None:
    moments = [json.loads(value)["created_at"] for _, value in made()]

    assert min(moments) >= "2026-11-22T11:55:00.000Z"
    assert max(moments) == "2026-11-22T12:00:00.000Z"
    assert all(re.fullmatch(r"2026-11-22T\d\d:\d\d:\d\d\.\d{3}Z", moment) for moment in moments)


@pytest.mark.parametrize("vocabulary", ["en", "fr"])
def test_ids_do_not_repeat_unless_asked(vocabulary: str) -> None:
    ids = Counter(json.loads(m.value)["ticket_id"] for m in made(3, 20_000, vocabulary=vocabulary))

    assert len(ids) == 20_000


def test_few_clients_write_most_tickets_and_priorities_have_weights() -> None:
    tickets = [json.loads(value) for _, value in made(count=20_000)]
    clients = Counter(ticket["client_id"] for ticket in tickets)
    priorities = Counter(ticket["priority"] for ticket in tickets)

    assert 2000 < len(clients) <= 3000
    assert sum(count for _, count in clients.most_common(300)) > 10_000
    assert priorities["medium"] > priorities["low"] > priorities["critical"] > 500


def test_ratios_give_about_that_many_faults_and_duplicates() -> None:
    generator = TicketGenerator(1, invalid_ratio=0.2, duplicate_ratio=0.1)
    messages = list(generator.messages(10_000))
    invalid = sum(n for kind, n in generator.made.items() if kind.startswith("invalid "))

    assert len(messages) == sum(generator.made.values()) == 10_000
    assert 1850 <= invalid <= 2150
    assert 890 <= generator.made["duplicate"] <= 1110


def test_duplicates_repeat_an_earlier_id_with_the_same_or_other_content() -> None:
    seen: dict[str, Message] = {}
    forms: Counter[str] = Counter()
    for message in made(2, 5000, duplicate_ratio=0.2):
        ticket_id = json.loads(message.value)["ticket_id"]
        if ticket_id not in seen:
            seen[ticket_id] = message
        elif seen[ticket_id] == message:
            forms["identical"] += 1
        elif seen[ticket_id].key == message.key:
            forms["same client"] += 1
        else:
            forms["other client"] += 1

    assert 900 < sum(forms.values()) == 5000 - len(seen) < 1100
    assert min(forms["identical"], forms["same client"], forms["other client"]) > 200


@pytest.mark.parametrize(("invalid", "duplicate"), [(-0.1, 0), (0.6, 0.5), (0, 1.5)])
def test_impossible_ratios_are_refused(invalid: float, duplicate: float) -> None:
    with pytest.raises(ValueError, match="ratios"):
        TicketGenerator(1, invalid_ratio=invalid, duplicate_ratio=duplicate)
