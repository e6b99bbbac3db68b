"""`millrace dead-letters redrive` on a real broker: what goes back to the topic, and what stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from producers.delivery import Delivery
from settings import Settings
from spark_jobs.sources.broker import existing_topics
from spark_jobs.state.ledger import Counts
from spark_jobs.tickets import TICKETS
from tests.integration.test_tickets_pipeline import ticket
from tests.integration.test_verify import account_of
from tests.support.pipelines import MakeWorld
from tests.support.redrives import Letter, numbered, reject, run, source, values


@pytest.fixture
def tickets(stack_settings: Settings, make_topic: Callable[[], str]) -> Settings:
    """Settings whose tickets topic no other test has."""
    return stack_settings.model_copy(update={"tickets_topic": make_topic()})


def test_original_bytes_and_key_go_back_and_the_return_is_counted(tickets: Settings) -> None:
    letters: list[Letter] = [
        (None, b"\xff\xfe\x00 not json\r\n"),
        (b"k", None),
        (None, None),
        (b"", b""),
        (b"\x00\xff", bytes(range(256))),
        (b"large", os.urandom(1_000_000)),
    ]
    reject(tickets, *letters, first_offset=40, redrives=1)

    assert run(tickets, "redrive") == 0

    found = {m.headers()[1][1]: (m.key(), m.value(), m.headers()) for m in source(tickets)}
    assert found == {
        b"%s/1/%d" % (tickets.tickets_topic.encode(), offset): (
            key,
            value,
            [
                ("redrives", b"2"),
                ("redriven_from", b"%s/1/%d" % (tickets.tickets_topic.encode(), offset)),
            ],
        )
        for offset, (key, value) in enumerate(letters, 40)
    }


def test_key_goes_to_the_partition_to_which_producers_send_it(tickets: Settings) -> None:
    keys = [b"CLIENT_%d" % number for number in range(12)]
    delivery = Delivery(tickets, tickets.tickets_topic)
    for key in keys:
        delivery.send(key, b"sent")
    delivery.close()
    reject(tickets, *((key, b"redriven") for key in keys))

    run(tickets, "redrive")

    places = {(m.key(), m.value()): m.partition() for m in source(tickets)}
    assert len(places) == 24
    assert len(set(places.values())) == 3
    assert all(places[key, b"sent"] == places[key, b"redriven"] for key in keys)


def test_dry_run_shows_what_would_be_sent_and_sends_nothing(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(3))
    reject(tickets, (None, b"x"), first_offset=3, redrives=3)

    assert run(tickets, "redrive", "--dry-run", "--max", "2") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "dry run: 2 would be sent, nothing was",
        "redriven=0 parked=0 skipped=0 failed=0",
    ]
    assert source(tickets) == []
    assert f"{tickets.tickets_topic}-redriven" not in existing_topics(tickets)


def test_redrive_sends_at_most_what_is_asked_for_and_then_the_rest(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(4))
    reject(tickets, (None, b"often back"), first_offset=4, redrives=3)

    for options, last_line in (
        (["--max", "1"], "redriven=1 parked=0 skipped=0 failed=0"),
        (["--from-offset", "3"], "redriven=1 parked=1 skipped=0 failed=0"),
        (["--state", "parked"], "redriven=0 parked=1 skipped=0 failed=0"),
        ([], "redriven=2 parked=1 skipped=2 failed=0"),
        ([], "redriven=0 parked=1 skipped=4 failed=0"),
    ):
        assert run(tickets, "redrive", *options) == 0
        assert capsys.readouterr().out.splitlines()[-1] == last_line

    assert values(tickets) == [b"no ticket %d" % number for number in range(4)]


def test_raised_limit_lets_a_parked_letter_go(tickets: Settings) -> None:
    reject(tickets, (None, b"often back"), redrives=3)
    run(tickets, "redrive")
    assert source(tickets) == []

    run(tickets.model_copy(update={"max_redrives": 4}), "redrive")

    assert [m.headers()[0] for m in source(tickets)] == [("redrives", b"4")]


def test_letter_that_its_topic_holds_twice_is_sent_and_counted_once(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(3))
    reject(tickets, *numbered(3))

    run(tickets, "redrive")

    assert capsys.readouterr().out == "redriven=3 parked=0 skipped=0 failed=0\n"
    assert values(tickets) == [b"no ticket 0", b"no ticket 1", b"no ticket 2"]


def test_rate_is_held(tickets: Settings) -> None:
    reject(tickets, *numbered(7))
    started = time.monotonic()

    run(tickets, "redrive", "--rate", "3")

    assert 2.0 <= time.monotonic() - started < 15
    assert len(source(tickets)) == 7


def test_letter_that_its_topic_no_longer_takes_does_not_hold_up_the_others(
    tickets: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reject(tickets, *numbered(2), (b"C1", os.urandom(60_000)))
    reject(tickets, (b"C0", b"last"), first_offset=3)
    limit = ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)
    place = ConfigResource(ResourceType.TOPIC, tickets.tickets_topic, incremental_configs=[limit])
    admin = AdminClient(tickets.kafka_client_options())
    admin.incremental_alter_configs([place])[place].result(30)

    assert run(tickets, "redrive") == 1
    assert run(tickets, "redrive") == 1

    assert capsys.readouterr().out.splitlines() == [
        "redriven=3 parked=0 skipped=0 failed=1",
        "redriven=0 parked=0 skipped=3 failed=1",
    ]
    assert values(tickets) == [b"last", b"no ticket 0", b"no ticket 1"]


def test_job_takes_redriven_messages_until_they_are_repaired_or_parked(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """One stays broken; the other was ahead of its time, which has come since."""
    world = make_world(TICKETS)
    world.send((None, b"\xffgarbage"), partition=0)
    # Sent on 2020-01-01.
    early = ticket("EARLY", created_at="2020-01-03T00:00:01Z")
    world.send(early, partition=1, timestamp_ms=1_577_836_800_000)
    settings = world.settings.model_copy(update={"max_redrives": 2})
    world.process()

    last_lines = []
    for _ in range(3):
        run(settings, "redrive")
        last_lines.append(capsys.readouterr().out.splitlines()[-1])
        world.process()

    assert last_lines == [
        "redriven=2 parked=0 skipped=0 failed=0",
        "redriven=1 parked=0 skipped=2 failed=0",
        "redriven=0 parked=1 skipped=3 failed=0",
    ]
    assert world.totals() == Counts(
        read=5, stored=1, dead_lettered=4, reasons={"invalid_created_at": 1, "unparseable": 3}
    )
    assert sorted((value, headers["redrives"]) for _, value, headers in world.dead_letters()) == [
        (early[1], "0")
    ] + [(b"\xffgarbage", str(returns)) for returns in range(3)]
    assert [row["ticket_id"] for row in world.rows("tickets")] == ["EARLY"]
    account = account_of(world)
    assert account.faults == []
    assert account.balanced
