"""The five source systems, each as its users knew it: their inputs, their commands, their outputs.

Producers, jobs and the viewer are processes, on the real services; what was stored is read back by
readers that know nothing of the platform, and compared with what the topic holds.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import Any

import pandas as pd

from spark_jobs.session.session import connector_packages
from tests.support.s3 import s3_client, s3_endpoint, s3_settings
from tests.support.user import MakeUser, User, make_user

__all__ = ["make_user", "s3_endpoint"]

TEAMS = {
    "billing": "Billing",
    "technical": "Technical Support",
    "account": "Account Management",
    "general": "Customer Service",
}


def tickets_on_topic(user: User) -> dict[str, dict[str, Any]]:
    """Ticket id -> the ticket as it was sent."""
    return {r.value["ticket_id"]: r.value for r in user.records("TICKETS_TOPIC")}


def by_id(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    rows = frame.drop(columns="day").to_dict("records")
    assert len({row["ticket_id"] for row in rows}) == len(rows)
    return {row["ticket_id"]: row for row in rows}


def test_system_a_real_time_ticket_etl(make_user: MakeUser) -> None:
    """`.env` settings with command-line overrides, the five sets as Parquet, the viewer."""
    user = make_user(
        reads="TICKETS_TOPIC", SINKS="files", OUTPUT_FORMAT="json", TICKETS_COUNT="5",
        TICKETS_RATE="1",
    )  # fmt: skip

    sent = user.produce("python -m producers.tickets --count 30 --rate 30")
    user.run("python -m spark_jobs.tickets --available-now --output-format parquet")

    records = user.records("TICKETS_TOPIC")
    assert sent == len(records) == 30
    assert all(record.key == record.value["client_id"] for record in records)
    # At 30 a second they take 29/30 s, of which half a second may be made up after a stall.
    assert (max(r.at for r in records) - min(r.at for r in records)).total_seconds() > 0.4
    tickets = tickets_on_topic(user)
    expected = {
        ticket_id: ticket
        | {
            "created_at": pd.Timestamp(ticket["created_at"]),
            "assigned_team": TEAMS[ticket["request_type"]],
        }
        for ticket_id, ticket in tickets.items()
    }
    urgent = {i: t for i, t in expected.items() if t["priority"] in {"high", "critical"}}
    types = Counter(ticket["request_type"] for ticket in tickets.values())
    priorities = Counter(ticket["priority"] for ticket in tickets.values())
    (metrics,) = pd.read_parquet(user.output / "metrics").to_dict("records")
    by_type = pd.read_parquet(user.output / "tickets_by_type")
    by_priority = pd.read_parquet(user.output / "tickets_by_priority")
    assert by_id(pd.read_parquet(user.output / "tickets_with_assignment")) == expected
    assert by_id(pd.read_parquet(user.output / "high_priority_tickets")) == urgent
    assert dict(zip(by_type["request_type"], by_type["count"], strict=True)) == types
    assert dict(zip(by_priority["priority"], by_priority["count"], strict=True)) == priorities
    assert metrics == {
        "total_tickets": 30,
        **{f"{request_type}_count": types[request_type] for request_type in TEAMS},
        "critical_priority_count": priorities["critical"],
        "unique_clients": len({ticket["client_id"] for ticket in tickets.values()}),
    }
    assert not [*user.output.rglob("_SUCCESS"), *user.output.rglob("part-*")]

    shown = user.run("millrace show metrics --format json", OUTPUT_FORMAT="parquet")
    assert json.loads(shown) == metrics
    table = user.run(
        "millrace show tickets_with_assignment --limit 100 --format csv", OUTPUT_FORMAT="parquet"
    )
    assert all(ticket_id in table for ticket_id in tickets)


def test_system_b_industrial_ticket_poc(make_user: MakeUser, s3_endpoint: str) -> None:
    """100 tickets by default, the aggregate by type as JSON on S3, credentials in `.env`."""
    client = s3_client(s3_endpoint)
    client.create_bucket(Bucket="industrial-poc")
    user = make_user(
        reads="TICKETS_TOPIC", SINKS="files", OUTPUT_FORMAT="json",
        OUTPUT_PATH="s3a://industrial-poc/tickets", **s3_settings(s3_endpoint),
    )  # fmt: skip

    sent = user.produce("python -m producers.tickets --rate 0")
    user.run("python -m spark_jobs.tickets --available-now")

    def lines_below(prefix: str) -> list[dict[str, Any]]:
        listed = client.list_objects_v2(Bucket="industrial-poc", Prefix=f"tickets/{prefix}/")
        keys = [item["Key"] for item in listed["Contents"] if item["Key"].endswith(".json")]
        bodies = [client.get_object(Bucket="industrial-poc", Key=key)["Body"] for key in keys]
        return [json.loads(line) for body in bodies for line in body.read().splitlines()]

    tickets = tickets_on_topic(user)
    types = Counter(ticket["request_type"] for ticket in tickets.values())
    stored = lines_below("tickets_with_assignment")
    assert sent == len(tickets) == len(stored) == 100
    assert {row["request_type"]: row["count"] for row in lines_below("tickets_by_type")} == types
    assert {row["ticket_id"]: row["assigned_team"] for row in stored} == {
        ticket_id: TEAMS[ticket["request_type"]] for ticket_id, ticket in tickets.items()
    }


# What the French vocabulary of system D says, in the contract's words.
FRENCH_TYPES = {
    "facturation": "billing",
    "technique": "technical",
    "support": "technical",
    "compte": "account",
    "général": "general",
    "general": "general",
}
FRENCH_PRIORITIES = {
    "basse": "low",
    "faible": "low",
    "moyenne": "medium",
    "normale": "medium",
    "haute": "high",
    "urgent": "critical",
    "urgente": "critical",
    "critique": "critical",
}


def test_system_d_ticket_generator(make_user: MakeUser) -> None:
    """French fields, short ids, `spark-submit --packages`; CSV and Parquet into one folder."""
    user = make_user(reads="TICKETS_TOPIC", SINKS="files")

    sent = user.produce("python -m producers.tickets --vocabulary fr --count 40 --rate 0")
    user.run(
        f"spark-submit --master local[2] --packages {','.join(connector_packages())}"
        " spark_jobs/tickets.py --available-now --output-format csv,parquet",
        PYSPARK_PYTHON=sys.executable,
        SPARK_LOCAL_IP="127.0.0.1",
    )

    tickets = tickets_on_topic(user)
    assert sent == len(tickets) == 40
    fields = ["ticket_id", "client_id", "created_at", "demande", "type", "priorite"]
    for ticket in tickets.values():
        assert list(ticket) == fields
        assert re.fullmatch(r"[A-Z0-9]{8}", ticket["ticket_id"])
        assert re.fullmatch(r"C[0-9]{1,10}", ticket["client_id"])
    expected = {
        ticket_id: {
            "ticket_id": ticket_id,
            "client_id": ticket["client_id"],
            "created_at": pd.Timestamp(ticket["created_at"]),
            "request": ticket["demande"],
            "request_type": FRENCH_TYPES[ticket["type"]],
            "priority": FRENCH_PRIORITIES[ticket["priorite"]],
            "assigned_team": TEAMS[FRENCH_TYPES[ticket["type"]]],
        }
        for ticket_id, ticket in tickets.items()
    }
    folder = user.output / "tickets_with_assignment"
    files = (folder / "csv").glob("day=*/*.csv")
    as_csv = pd.concat([pd.read_csv(f, parse_dates=["created_at"]).assign(day="") for f in files])
    assert by_id(as_csv) == expected
    assert by_id(pd.read_parquet(folder / "parquet")) == expected
    counted = [
        read(user.output / "tickets_by_priority" / form)
        for form, read in (
            ("parquet", pd.read_parquet),
            ("csv", lambda place: pd.read_csv(place / "tickets_by_priority.csv")),
        )
    ]
    for counts in counted:
        assert dict(zip(counts["priority"], counts["count"], strict=True)) == Counter(
            ticket["priority"] for ticket in expected.values()
        )
