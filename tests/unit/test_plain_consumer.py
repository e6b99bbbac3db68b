"""The plain Python consumer in `make bench` survives the benchmark's load."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
import pytest

from operations.bench.workload import valid
from producers.faults import TICKET_FAULTS
from tests.benchmarks.plain_consumer import COLUMNS, FIELDS, parsed

NAMES = {name: name for name in FIELDS}
# Draws of each fault, which has up to ten forms.
DRAWS = 40


@dataclass(frozen=True)
class Arrived:
    """A message as the consumer hands it over."""

    text: bytes | None

    def value(self) -> bytes | None:
        return self.text

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_763_800_000_000


def test_it_takes_every_valid_ticket() -> None:
    (message,) = valid(1)

    ticket = parsed(Arrived(message.value))

    assert ticket is not None
    assert ticket["ticket_id"] == orjson.loads(message.value)["ticket_id"]
    assert (ticket["kafka_partition"], ticket["kafka_offset"]) == (2, 7)
    assert all(ticket[column] is not None for column in COLUMNS)


@pytest.mark.parametrize("fault", TICKET_FAULTS, ids=lambda fault: fault.name)
def test_what_it_takes_of_broken_records_can_be_written(fault: Any) -> None:
    (message,) = valid(1)
    record = orjson.loads(message.value)

    for seed in range(DRAWS):
        _, value = fault.apply(record, NAMES, Random(seed))
        ticket = parsed(Arrived(value))
        # A column without text fails a whole batch, and half a surrogate pair has no bytes.
        assert ticket is None or all(ticket[field] for field in ("ticket_id", "created_at"))
        assert ticket is None or all(
            ticket[field].encode() is not None for field in FIELDS if field != "created_at"
        )


def test_a_message_without_a_value_is_skipped() -> None:
    assert parsed(Arrived(None)) is None
