"""System E, user profiles: from the producer to Cassandra's table and MongoDB's analysis data."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest
from cassandra.cluster import Session

from spark_jobs.profiles import PROFILES
from tests.support.user import MakeUser, Record, make_user
from tests.support.world import create_tables

__all__ = ["make_user"]


def years(record: Record) -> int:
    born, at = datetime.fromisoformat(record.value["dob"]["date"]).date(), record.at.date()
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def plain_digest(text: str | None) -> str | None:
    return None if text is None else sha256(text.encode()).hexdigest()


def address_of(profile: dict[str, Any]) -> str | None:
    """Number and street, city, state, country and postcode as one line; None without all."""
    place = profile.get("location") or {}
    street = place.get("street") or {}
    parts = [place.get(name) for name in ("city", "state", "country", "postcode")]
    if None in parts or not street:
        return None
    return ", ".join([f"{street['number']} {street['name']}", *map(str, parts)])


def test_system_e_user_profiles(make_user: MakeUser, cassandra: Session) -> None:
    """Kept over 13, e-mail, phone and address as plain SHA-256, as that system had them."""
    keyspace = f"t{uuid.uuid4().hex[:10]}"
    create_tables(cassandra, PROFILES, keyspace)
    user = make_user(
        reads="PROFILES_TOPIC", SINKS="cassandra,mongodb", PII_HASH_MODE="sha256",
        PROFILES_SOURCE="api", PROFILES_COUNT="80",
    )  # fmt: skip

    sent = user.produce("python -m producers.profiles --source offline --seed 5")
    # The job that a user starts with `python -m spark_jobs.profiles`, on tables of this test.
    user.run(f"python -m tests.support.job_in_keyspace {keyspace} profiles --available-now")

    records = user.records("PROFILES_TOPIC")
    assert sent == len(records) == 80
    grown_up = {r.value["login"]["uuid"]: r for r in records if years(r) > 13}
    assert 0 < len(grown_up) < 80
    rows = {
        str(row["identifiant"]): row
        for row in cassandra.execute(f"SELECT * FROM {keyspace}.users_profiles")
    }
    assert rows.keys() == grown_up.keys()
    whole_addresses = 0
    for ident, record in grown_up.items():
        profile, row = record.value, rows[ident]
        name, email = profile["name"], profile["email"]
        assert row["full_name"] == f"{name['last']} {name['first']}"
        assert row["domain_name"] == email.partition("@")[2].lower()
        assert row["email"] == plain_digest(email)
        assert row["phone"] == plain_digest(profile.get("phone"))
        assert row["nationality"] == profile.get("nat")
        assert row["age"] == years(record)
        assert email not in str(row)
        if address := address_of(profile):
            whole_addresses += 1
            assert row["full_address"] == plain_digest(address)
    assert whole_addresses > 0

    def counts(collection: str) -> dict[str, int]:
        return {d["_id"]: d["count"] for d in user.documents(collection)}

    for collection, column in (
        ("profiles_by_nationality", "nationality"),
        ("profiles_by_gender", "gender"),
        ("profiles_by_domain", "domain_name"),
    ):
        assert counts(collection) == Counter(row[column] or "unknown" for row in rows.values())
    (metrics,) = user.documents("profile_metrics")
    assert metrics["total_profiles"] == len(rows)
    assert metrics["average_age"] == pytest.approx(
        sum(row["age"] for row in rows.values()) / len(rows)
    )
    batches = user.documents("batches")
    assert sum(batch["filtered"] for batch in batches) == 80 - len(rows)
