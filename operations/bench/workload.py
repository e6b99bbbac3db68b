"""The load of the benchmarks: two built-in pipelines, their records, and how to find one again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from producers.generate import TicketGenerator
from producers.messages import Message
from producers.offline_profiles import offline_profiles
from producers.profiles import profile_messages
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS

MAIN, SECOND = TICKETS, PROFILES
# As in `make run`, some records are invalid and some ids are repeated.
INVALID, DUPLICATE = 0.01, 0.02
SEED: Final = 6

ID: Final = "ticket_id"
_BEFORE_ID: Final = len(f'{{"{ID}":"')
# Where a message of the main pipeline has its id, a UUID.
ID_PLACE: Final = slice(_BEFORE_ID, _BEFORE_ID + 36)
STORED: Final = f"SELECT {ID} FROM {MAIN.tables[0].place} WHERE {ID} = ?"  # noqa: S608 - our own names


def mixed(pipeline: Pipeline, count: int) -> Iterator[Message]:
    """Records of one of the two pipelines, some of them invalid or repeated."""
    if pipeline.name == SECOND.name:
        profiles = islice(offline_profiles(SEED), count)
        return profile_messages(
            profiles, seed=SEED, invalid_ratio=INVALID, duplicate_ratio=DUPLICATE
        )
    return TicketGenerator(SEED, invalid_ratio=INVALID, duplicate_ratio=DUPLICATE).messages(count)


def valid(count: int, seed: int = SEED) -> Iterator[Message]:
    """Valid records of the main pipeline; 0: without end."""
    return TicketGenerator(seed).messages(count)
