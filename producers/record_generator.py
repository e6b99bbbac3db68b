"""Seeded generator of records of any contract: the same seed and instant give the same bytes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count as numbers
from itertools import islice
from random import Random
from typing import Any, Final

import orjson

from producers.faults import UNPARSEABLE
from producers.messages import Message
from producers.record_faults import RecordFault, contract_faults
from producers.record_ids import RecordIds
from producers.record_keys import message_key
from producers.record_values import value_maker
from schemas.fields import Contract

# Share of optional fields and objects that a record has; the rest are absent, some of them null.
PRESENT_SHARE: Final = 0.8
NULL_SHARE: Final = 0.3
# How many earlier records can be repeated, and which share of repeats is equal in every byte.
MEMORY: Final = 5000
SAME_SHARE: Final = 0.3


class RecordGenerator:
    """Makes records, and on request also ones that break the contract and repeated ids.

    Attributes:
        made: How many messages of each kind have been made so far: `valid`, `duplicate`, and
            `invalid: <kind>` for the kinds of `producers.record_faults`.
    """

    def __init__(
        self,
        contract: Contract,
        seed: int,
        *,
        count: int = 0,
        invalid_ratio: float = 0.0,
        duplicate_ratio: float = 0.0,
        now: datetime | None = None,
    ) -> None:
        """Prepare what makes ids, values and faults.

        Args:
            contract: The contract; it has an id.
            seed: Determines everything but instants and days, which follow `now`.
            count: Number of messages; 0 = endless.
            invalid_ratio: Share of messages that break the contract, each kind of fault in turn.
            duplicate_ratio: Share of messages with the id of an earlier valid record.
            now: Nothing happened later; by default the present.

        Raises:
            DeliveryError: The contract allows no value of a field, or too few ids.
        """
        now = (now or datetime.now(UTC)).replace(microsecond=0)
        self.made: Counter[str] = Counter()
        self._contract, self._count = contract, count
        self._rng = Random(seed)  # noqa: S311 - test data, not secrets
        self._ratios = (invalid_ratio, duplicate_ratio)
        ids = RecordIds(contract, seed, now, count)
        if not duplicate_ratio:
            ids.require(count)
        self._ids_left = iter(ids)
        self._makers = {
            field.name: value_maker(field, now)
            for field in contract.fields
            if field.sensitivity != "never" and not field.is_id
        }
        self._faults = contract_faults(contract)

    def messages(self) -> Iterator[Message]:
        """Yield the messages.

        Raises:
            DeliveryError: No further id or value can be made.
        """
        return islice(self._messages(), self._count or None)

    def _messages(self) -> Iterator[Message]:
        rng, (invalid, duplicate) = self._rng, self._ratios
        earlier = deque[tuple[dict[str, Any], Message]](maxlen=MEMORY)
        ids, faulty = self._ids_left, self.faulty()
        while True:
            draw = rng.random()
            if draw < invalid:
                fault, message = next(faulty)
                self.made[f"invalid: {fault.kind}"] += 1
                yield message
            elif draw < invalid + duplicate and earlier:
                self.made["duplicate"] += 1
                old_id, old = rng.choice(earlier)
                yield old if rng.random() < SAME_SHARE else self._message(self._record(old_id))
            else:
                self.made["valid"] += 1
                new_id = next(ids)
                message = self._message(self._record(new_id))
                earlier.append((new_id, message))
                yield message

    def faulty(self) -> Iterator[tuple[RecordFault, Message]]:
        """Yield endless records that break the contract: each kind of fault in turn, then again.

        Raises:
            DeliveryError: No further id or value can be made.
        """
        kinds, id_fields = [*self._faults.values()], self._contract.id_fields
        for number in numbers():
            turn, place = divmod(number, len(kinds))
            fault = kinds[place][turn % len(kinds[place])]
            record = self._record(next(self._ids_left), full=True)
            key = message_key(id_fields, record)
            value = fault.spoil(record, self._rng)
            # Of a text that is not JSON the key is what it was meant to be.
            is_readable = fault.reasons != UNPARSEABLE
            yield fault, Message(message_key(id_fields, record) if is_readable else key, value)

    def _message(self, record: dict[str, Any]) -> Message:
        return Message(message_key(self._contract.id_fields, record), orjson.dumps(record))

    def _record(self, record_id: dict[str, Any], *, full: bool = False) -> dict[str, Any]:
        """Return a record with that id; `full` has every optional field and object."""
        rng, record = self._rng, dict[str, Any]()
        present = self._present_objects(full=full)
        for field in self._contract.fields:
            is_around = field.name.rpartition(".")[0] in present
            if field.is_id:
                _put(record, field.name, record_id[field.name])
            elif field.name not in self._makers:
                continue
            elif (
                (full or field.required or field.required_within in present)
                or (is_around and rng.random() < PRESENT_SHARE)
            ):  # fmt: skip
                _put(record, field.name, self._makers[field.name](rng))
            elif is_around and "null" in field.types and rng.random() < NULL_SHARE:
                _put(record, field.name, None)
        for each in self._contract.objects:
            if each.required:
                _put(record, each.name, {})
        return record

    def _present_objects(self, *, full: bool) -> set[str]:
        """Choose the objects of a record, by dotted name; the root is the empty one."""
        present = {""}
        for each in self._contract.objects:
            is_chosen = full or self._rng.random() < PRESENT_SHARE
            if each.required or (is_chosen and each.name.rpartition(".")[0] in present):
                present.add(each.name)
        return present


def _put(record: dict[str, Any], name: str, value: Any) -> None:
    """Put a value at a dotted path, if there is none."""
    *parents, leaf = name.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
    record.setdefault(leaf, value)
