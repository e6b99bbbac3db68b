"""Seeded generator of support tickets: the same seed and clock give the same bytes.

A ticket is assembled from pieces that were encoded as JSON in advance and are chosen with random
bytes drawn in bulk, so that generation does not limit a producer's rate. Requests differ by type,
types and priorities have the weights of a help desk, and a few of the few thousand clients write
most of the tickets (Zipf's law).

Two vocabularies: `en` has UUIDs and `CLIENT_…`; `fr` has the field names and values of the French
source system, short ids (`A1B2C3D4`) and clients such as `C3847`.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, islice
from random import Random
from typing import Final

import orjson

from producers.faults import TICKET_FAULTS
from producers.messages import Message
from producers.vocabulary import PRIORITY_WEIGHTS, TYPE_WEIGHTS, WORDS, Language, Words
from schemas.contract import Contract, load_contract

BULK: Final = 1024
CLIENTS: Final = 3000
# Powers of two: an index is a masked random 16-bit number.
CLIENT_SLOTS: Final = 65_536
OPENING_SLOTS: Final = 8192
CLOSING_SLOTS: Final = 16
# A ticket is sent within five minutes of its creation; most of them at once.
LAG_MILLISECONDS: Final = tuple(int(300_000 * (i / 1023) ** 4) for i in range(1024))
MILLISECONDS: Final = tuple(b"%03dZ" % i for i in range(1000))
# How many earlier tickets can be repeated.
MEMORY: Final = 5000
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHORT_IDS: Final = len(ALPHABET) ** 8


@dataclass(frozen=True)
class Names:
    """The field names of a vocabulary, in the order in which they are written."""

    ticket_id: str = "ticket_id"
    client_id: str = "client_id"
    created_at: str = "created_at"
    request: str = "request"
    request_type: str = "request_type"
    priority: str = "priority"


class TicketGenerator:
    """Makes tickets, and on request also records that break the contract and repeated ids.

    Attributes:
        made: If a ratio was given, how many messages of each kind have been made so far:
            `valid`, `duplicate`, and `invalid <fault>` for each kind of fault.
    """

    def __init__(
        self,
        seed: int,
        *,
        vocabulary: Language = "en",
        invalid_ratio: float = 0.0,
        duplicate_ratio: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the tables.

        Args:
            seed: Determines everything but the time.
            vocabulary: Field names, values and language.
            invalid_ratio: Share of messages that break the contract.
            duplicate_ratio: Share of messages with the id of an earlier ticket.
            clock: Seconds since 1970; tickets are created shortly before. A fixed clock makes the
                bytes repeatable.
        """
        if not (0 <= invalid_ratio and 0 <= duplicate_ratio <= 1 - invalid_ratio):
            raise ValueError("the ratios must be 0 or more, and 1 or less together")
        self.made: Counter[str] = Counter()
        self._rng = Random(seed)  # noqa: S311 - test data, not secrets
        self._vocabulary = vocabulary
        self._invalid_ratio = invalid_ratio
        self._duplicate_ratio = duplicate_ratio
        self._clock = clock
        contract = load_contract("ticket")
        self._names = _names(contract, vocabulary)
        self._clients = _clients(self._rng, "CLIENT_" if vocabulary == "en" else "C")
        self._openings = _openings(self._rng, contract, self._names, vocabulary)
        closings = WORDS[vocabulary].closings
        self._closings = [_inner_json(closings[i % len(closings)]) for i in range(CLOSING_SLOTS)]

    def messages(self, count: int) -> Iterator[Message]:
        """Yield `count` messages, or endless messages for 0."""
        tickets = self._tickets()
        if self._invalid_ratio or self._duplicate_ratio:
            tickets = self._with_faults_and_duplicates(tickets)
        return islice(tickets, count or None)

    def _tickets(self) -> Iterator[Message]:
        """Yield endless valid tickets, each with its own id."""
        names = self._names
        head = f'{{"{names.ticket_id}":"'.encode()
        client_part = f'","{names.client_id}":"'.encode()
        created_part = f'","{names.created_at}":"'.encode()
        clients, openings, closings = self._clients, self._openings, self._closings
        clock, join, new, seconds = self._clock, b"".join, tuple.__new__, _Seconds()
        for ids in _uuids(self._rng) if self._vocabulary == "en" else _short_ids(self._rng):
            numbers = memoryview(self._rng.randbytes(8 * BULK)).cast("H")
            draws = zip(ids, numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)
            for ticket_id, a, b, c, d in draws:
                second, rest = divmod(int(clock() * 1000) - LAG_MILLISECONDS[d & 1023], 1000)
                client = clients[a]
                opening, tail = openings[b & 8191]
                value = join(
                    (head, ticket_id, client_part, client, created_part, seconds[second],
                     MILLISECONDS[rest], opening, closings[c & 15], tail)
                )  # fmt: skip
                yield new(Message, (client, value))

    def _with_faults_and_duplicates(self, tickets: Iterator[Message]) -> Iterator[Message]:
        rng, earlier = self._rng, deque[Message](maxlen=MEMORY)
        for ticket in tickets:
            draw = rng.random()
            if draw < self._invalid_ratio:
                fault = rng.choice(TICKET_FAULTS)
                self.made[f"invalid {fault.name}"] += 1
                names = vars(self._names)
                yield Message(*fault.apply(orjson.loads(ticket.value), names, rng))
            elif draw < self._invalid_ratio + self._duplicate_ratio and earlier:
                self.made["duplicate"] += 1
                yield self._duplicate(rng.choice(earlier), ticket)
            else:
                self.made["valid"] += 1
                earlier.append(ticket)
                yield ticket

    def _duplicate(self, earlier: Message, other: Message) -> Message:
        """The earlier ticket again, or its id on another ticket of the same or another client."""
        form = self._rng.randrange(3)
        if form == 0:
            return earlier
        old, new = orjson.loads(earlier.value), orjson.loads(other.value)
        new[self._names.ticket_id] = old[self._names.ticket_id]
        if form == 1:
            new[self._names.client_id] = old[self._names.client_id]
            return Message(earlier.key, orjson.dumps(new))
        return Message(other.key, orjson.dumps(new))


class _Seconds(dict[int, bytes]):
    """Seconds since 1970 as text; each is formatted once and cached."""

    def __missing__(self, second: int) -> bytes:
        if len(self) > 4096:
            self.clear()
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode()
        self[second] = text
        return text


def _uuids(rng: Random) -> Iterator[list[bytes]]:
    """Endless random UUIDs (RFC 9562, version 4) in lists of `BULK`."""
    while True:
        h = rng.randbytes(16 * BULK).hex().encode()
        yield [
            b"%b-%b-4%b-a%b-%b" % (h[o : o + 8], h[o + 8 : o + 12], h[o + 13 : o + 16],
                                   h[o + 17 : o + 20], h[o + 20 : o + 32])
            for o in range(0, 32 * BULK, 32)
        ]  # fmt: skip


def _short_ids(rng: Random) -> Iterator[list[bytes]]:
    """Ids of eight letters and digits in lists of `BULK`; none is repeated in a run.

    They step through all such ids with a random stride that is coprime to their number.
    """
    pairs = [a + b for a in ALPHABET for b in ALPHABET]
    number, stride = rng.randrange(SHORT_IDS), 6 * rng.randrange(SHORT_IDS // 6) + 1
    while True:
        ids = []
        for _ in range(BULK):
            high, low = divmod(number, 1296 * 1296)
            text = pairs[high // 1296] + pairs[high % 1296] + pairs[low // 1296] + pairs[low % 1296]
            ids.append(text.encode())
            number = (number + stride) % SHORT_IDS
        yield ids


def _names(contract: Contract, vocabulary: Language) -> Names:
    if vocabulary == "en":
        return Names()
    return Names(**{f.name: f.other_names[0] for f in contract.fields if f.other_names})


def _clients(rng: Random, prefix: str) -> list[bytes]:
    """A table of clients in which client number n has a share of about 1/n (Zipf)."""
    numbers = rng.sample(range(1000, 10_000), CLIENTS)
    weights = [1 / (rank + 5) for rank in range(1, CLIENTS + 1)]
    steps, total = list(accumulate(weights)), sum(weights)
    table: list[bytes] = []
    for number, step in zip(numbers, steps, strict=True):
        table += [f"{prefix}{number}".encode()] * (round(CLIENT_SLOTS * step / total) - len(table))
    return table


def _openings(
    rng: Random, contract: Contract, names: Names, vocabulary: Language
) -> list[tuple[bytes, bytes]]:
    """Pairs of JSON pieces around the closing: the opening of a request, and the rest."""
    words = WORDS[vocabulary]
    head = f'","{names.request}":"'.encode()
    tails = {
        (kind, priority): f'","{names.request_type}":"{kind}","{names.priority}":"{priority}"}}'
        for kind in _spellings(contract, "request_type", vocabulary)
        for priority in _spellings(contract, "priority", vocabulary)
    }
    kinds = rng.choices([*TYPE_WEIGHTS], [*TYPE_WEIGHTS.values()], k=OPENING_SLOTS)
    openings = []
    for kind in kinds:
        weights = PRIORITY_WEIGHTS[kind]
        [priority] = rng.choices([*weights], [*weights.values()])
        written = (
            rng.choice(_spellings(contract, "request_type", vocabulary, kind)),
            rng.choice(_spellings(contract, "priority", vocabulary, priority)),
        )
        text = head + _inner_json(_sentence(rng, words, kind))
        openings.append((text, tails[written].encode()))
    return openings


def _spellings(
    contract: Contract, name: str, vocabulary: Language, value: str | None = None
) -> list[str]:
    """A vocabulary's spellings of one value of an enumeration, or of all."""
    field = contract.field(name)
    pairs = dict(zip(field.values, field.values, strict=True))
    if vocabulary == "fr":
        pairs = dict(field.synonyms)
    return [spelling for spelling, meaning in pairs.items() if value in (None, meaning)]


def _sentence(rng: Random, words: Words, kind: str) -> str:
    fillers = {name: rng.choice(texts) for name, texts in words.fillers.items()}
    number = str(rng.randrange(10_000, 100_000))
    text = rng.choice(words.templates[kind]).format(**fillers, number=number)
    return text[:1].upper() + text[1:]


def _inner_json(text: str) -> bytes:
    """The text as it appears between the quotes of a JSON string."""
    return orjson.dumps(text)[1:-1]
