"""Tickets by the ten, with a duplicate and garbage, and what a job must have made of them."""

from __future__ import annotations

from spark_jobs.state.ledger import Counts
from tests.integration.test_tickets_pipeline import ticket
from tests.support.world import World

# Of each ten messages: eight tickets, one of them again, one that is no ticket.
TENS = 200
EXPECTED = Counts(
    read=10 * TENS,
    stored=8 * TENS,
    dead_lettered=TENS,
    duplicates=TENS,
    reasons={"unparseable": TENS},
)


def send_tens(world: World) -> None:
    for ten in range(TENS):
        tickets = [ticket(f"{ten}-{n}", client_id=f"C{n}") for n in range(8)]
        world.send(*tickets, tickets[3], (None, b"no ticket"))


def assert_exact(world: World) -> None:
    assert world.totals() == EXPECTED
    assert len(world.rows("tickets")) == 8 * TENS
    assert len(world.rows("tickets_by_team")) == 8 * TENS
    for collection in ("tickets_by_team", "tickets_by_type", "tickets_by_priority"):
        assert sum(d["count"] for d in world.documents(collection).values()) == 8 * TENS
    (metrics,) = world.documents("ticket_metrics").values()
    assert (metrics["total_tickets"], metrics["unique_clients"]) == (8 * TENS, 8)
    coordinates = {
        (headers["source_partition"], headers["source_offset"])
        for _, _, headers in world.dead_letters()
    }
    assert len(coordinates) == TENS
    assert len(world.documents("dead_letters")) == TENS
