"""Small finished runs, each with messages of every outcome in three or more batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from spark_jobs.customers import CUSTOMERS
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.tickets import TICKETS
from tests.support.builders import customer, payload, profile, ticket
from tests.support.own_pipelines import example
from tests.support.own_records import AT, orders
from tests.support.pipelines import MakeWorld
from tests.support.tampering.databases import in_cassandra, in_postgres, of_batches_in_postgres
from tests.support.tampering.documents import of_aggregates, of_confirmations, of_summaries
from tests.support.tampering.files import in_files, of_files
from tests.support.tampering.ledger import of_ledger, of_source
from tests.support.tampering.rows import of_rows
from tests.support.tampering.tampering import Tampering
from tests.support.tampering.topics import of_topics
from tests.support.world import Message, World

ALL: Final = ("cassandra", "files", "postgres", "mongodb")
PER_BATCH: Final = 5


@dataclass(frozen=True)
class Planned:
    """A run to be made.

    Attributes:
        pipeline: Gives the pipeline.
        messages: What is sent, all to one partition.
        form: Of its files.
        sinks: The settings' `SINKS`; verification takes longer for more of them.
        secrets: Values of records that no fault may show.
    """

    pipeline: Callable[[], Pipeline]
    messages: Callable[[], list[Message]]
    form: str
    sinks: tuple[str, ...]
    secrets: tuple[str, ...]


def _tickets() -> list[Message]:
    day = "2026-11-21T23:10:11.5Z"
    records: list[Any] = [
        ticket(ticket_id="A", client_id="C1"),
        ticket(ticket_id="B", client_id="C2", request_type="technical", priority="critical"),
        ticket(ticket_id="A", request="sent again"),
        "no ticket",
        ticket(ticket_id="C", client_id="C2", request="When does it open?", priority="low"),
        ticket(ticket_id="D", client_id="C3", created_at=day, request_type="account"),
        ticket(ticket_id="E", priority="soon", client_id="nobody"),
        ticket(ticket_id="F", client_id="C4", created_at=day, request_type="general"),
        ticket(ticket_id="B", request="sent again"),
        ticket(ticket_id="G", request=...),
        ticket(ticket_id="H", client_id="C5", priority="medium", request="It is slow"),
        ticket(ticket_id="I", client_id="C6", created_at=day, request_type="technical"),
        ticket(ticket_id="J", client_id="C6", request_type=None),
    ]
    return [(b"key", payload(record)) for record in records]


def _profiles() -> list[Message]:
    one, two, *rest = (f"{digit}7155000-95f4-4b29-9d80-0aa0c2ee9f40" for digit in "13579f")
    records: list[Any] = [
        profile(login__uuid=one),
        profile(login__uuid=two, nat="DE", gender="male", email="charles@babbage.example"),
        profile(login__uuid=one, name__first="Augusta"),
        "{",
        profile(login__uuid=rest[0], dob__date="2020-05-17T08:30:00Z"),
        profile(login__uuid=rest[1], dob__date="2000-05-17T08:30:00Z", nat=..., gender=...),
        profile(login__uuid=two),
        profile(login__uuid=rest[2], email="no address", dob__date="1980-05-17T08:30:00Z"),
        profile(login__uuid=rest[2], dob__date="1950-05-17T08:30:00Z", location__city="Nantes"),
        profile(login__uuid="no-id", name__last=...),
        profile(login__uuid=rest[3], nat="DE", phone=..., name__title="Mr"),
        profile(login__uuid=one, dob__date="2019-05-17T08:30:00Z"),
        profile(login__uuid="other", email=...),
    ]
    return [(b"key", payload(record)) for record in records]


def _customers() -> list[Message]:
    records: list[Any] = [
        customer(customer_id="A"),
        customer(customer_id="B", email="charles@babbage.example", city="", phone=...),
        customer(customer_id="C", country="France"),
        "no customer",
        customer(customer_id="D", email="nobody"),
        customer(customer_id="A", first_name="Augusta"),
        "{",
        customer(customer_id="E", last_name="Byron", created_at="2024-02-03T04:05:06.789Z"),
        customer(customer_id=..., first_name=" "),
        customer(customer_id="F", country="Spain"),
        customer(customer_id="B"),
        "[]",
        customer(customer_id="G", state="NY", city="New York"),
        customer(customer_id="H", email=..., country=...),
    ]
    return [(b"key", payload(record)) for record in records]


PLANNED: Final[dict[str, Planned]] = {
    "orders": Planned(
        lambda: example("orders"),
        lambda: [*orders("1"), *orders("2")],
        "json",
        ALL,
        ("@example.com", "lamp"),
    ),
    "profiles": Planned(
        lambda: PROFILES,
        _profiles,
        "parquet",
        ("cassandra", "mongodb"),
        ("Lovelace", "babbage", "Paix", "33142", "(0)1-42", "Nantes"),
    ),
    "customers": Planned(
        lambda: CUSTOMERS,
        _customers,
        "csv",
        ("files", "postgres"),
        ("Lovelace", "babbage", "555 0100", "Main St"),
    ),
    "tickets": Planned(
        lambda: TICKETS,
        _tickets,
        "parquet",
        ("cassandra", "files", "mongodb"),
        ("invoice", "It is slow", "open?"),
    ),
}


def finished(make_world: MakeWorld, planned: Planned) -> World:
    """The run, when all is processed."""
    world = make_world(planned.pipeline())
    changes = {
        "sinks": planned.sinks,
        "output_format": (planned.form,),
        "max_records_per_batch": PER_BATCH,
    }
    world = replace(world, settings=world.settings.model_copy(update=changes))
    world.send(*planned.messages(), partition=0, timestamp_ms=AT)
    world.process()
    return world


def all_of(world: World) -> Iterator[Tampering]:
    """Every tampering with what a run left, by store."""
    sinks = world.settings.sinks
    places = [*in_cassandra(world)] if "cassandra" in sinks else []
    places += in_postgres(world) if "postgres" in sinks else []
    places += in_files(world) if "files" in sinks else []
    yield from of_rows(places)
    yield from of_batches_in_postgres(world) if "postgres" in sinks else ()
    yield from of_files(world) if "files" in sinks else ()
    yield from of_topics(world)
    yield from of_aggregates(world)
    yield from of_summaries(world)
    yield from of_confirmations(world)
    yield from of_ledger(world)
    yield from of_source(world)
