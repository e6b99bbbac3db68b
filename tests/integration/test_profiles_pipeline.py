"""Profiles from the topic to every store, by the real job."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from errors import JobError
from spark_jobs.profiles import PROFILES
from spark_jobs.state.ledger import Counts
from tests.support.pipelines import TEST_KEY, MakeWorld

# 2026-11-22T10:15:00Z
SENT_MS = 1_795_342_500_000
UUID_1 = "7a0eed16-9430-4d68-901f-c0d4c1c3bf00"


def digest(text: str) -> str:
    return hmac.new(TEST_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def profile(uuid: str = UUID_1, **changes: Any) -> tuple[bytes, bytes]:
    record: dict[str, Any] = {
        "gender": "female",
        "name": {"title": "Ms", "first": "Jennie", "last": "Nichols"},
        "location": {
            "street": {"number": 8929, "name": "Valwood Pkwy"},
            "city": "Billings",
            "state": "Michigan",
            "country": "United States",
            "postcode": 63104,
        },
        "email": " Jennie.Nichols@Example.COM ",
        "login": {"uuid": uuid, "username": "yellowpeacock117"},
        "dob": {"date": "1992-03-08T15:13:16.688Z", "age": 30},
        "registered": {"date": "2007-07-09T05:51:59.390Z", "age": 14},
        "phone": "(272) 790-0888",
        "nat": "US",
    } | changes
    return uuid.encode(), json.dumps(record).encode()


@pytest.mark.quick
def test_profile_is_stored_pseudonymised_in_both_tables(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    world.send(profile(UUID_1.upper()), partition=2, timestamp_ms=SENT_MS)

    world.process()

    key_id = hashlib.sha256(f"millrace-key-id:{TEST_KEY}".encode()).hexdigest()[:8]
    expected = {
        "identifiant": UUID(UUID_1),
        "title": "Ms",
        "gender": "female",
        "full_name": "Nichols Jennie",
        "username": "yellowpeacock117",
        "email": digest("jennie.nichols@example.com"),
        "domain_name": "example.com",
        "phone": digest("2727900888"),
        "full_address": digest("8929 valwood pkwy, billings, michigan, united states, 63104"),
        "age": 34,
        "inscription": "2007-07-09T05:51:59.390Z",
        "nationality": "US",
        "hash_key_id": key_id,
        "kafka_partition": 2,
        "kafka_offset": 0,
        "kafka_timestamp": datetime(2026, 11, 22, 10, 15),  # noqa: DTZ001 - as the driver gives
    }
    assert world.rows("users_profiles") == [expected]
    assert world.rows("profiles_by_nationality") == [expected | {"shard": 7}]


def test_profile_aggregates_count_each_value(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    world.send(
        profile("00000000-0000-4000-8000-000000000001"),
        profile("00000000-0000-4000-8000-000000000002", nat=None, gender=None, email="b@B.org"),
        profile("00000000-0000-4000-8000-000000000003", dob={"date": "2008-11-23T00:00:00Z"}),
        profile("00000000-0000-4000-8000-000000000004", dob={"date": "2012-11-23T00:00:00Z"}),
        timestamp_ms=SENT_MS,
    )

    world.process()

    def counts(collection: str) -> dict[str, int]:
        return {key: d["count"] for key, d in world.documents(collection).items()}

    assert world.totals() == Counts(read=4, stored=3, filtered=1)
    assert counts("profiles_by_nationality") == {"US": 2, "unknown": 1}
    assert counts("profiles_by_gender") == {"female": 2, "unknown": 1}
    assert counts("profiles_by_age_band") == {"14-17": 1, "25-34": 2}
    assert counts("profiles_by_domain") == {"example.com": 2, "b.org": 1}
    metrics = world.documents("profile_metrics")["all"]
    assert metrics["total_profiles"] == 3
    assert metrics["average_age"] == pytest.approx((34 + 34 + 17) / 3)
    assert isinstance(metrics["updated_at"], datetime)
    assert metrics["updated_at"].tzinfo == UTC or metrics["updated_at"].utcoffset() is not None
    assert [row["nationality"] for row in world.rows("profiles_by_nationality")].count(
        "unknown"
    ) == 1


def test_absent_values_leave_no_tombstone_in_cassandra(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    world.send(profile(phone=None, gender=None, location=None), timestamp_ms=SENT_MS)

    world.process()

    columns = ("phone", "full_address", "gender")
    (row,) = world.rows("users_profiles")
    assert [row[name] for name in columns] == [None, None, None]
    # A tombstone would hide values with an older time stamp; where there is none they show.
    world.session.execute(
        f"INSERT INTO {world.keyspace}.users_profiles (identifiant, {', '.join(columns)}, age)"
        f" VALUES ({UUID_1}, 'old', 'old', 'old', 1) USING TIMESTAMP 1"
    )
    (row,) = world.rows("users_profiles")
    assert [row[name] for name in columns] == ["old", "old", "old"]
    assert row["age"] == 34


def test_minor_is_stored_nowhere_even_with_other_faults(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    child = {"date": "2015-01-01T00:00:00Z"}
    world.send(profile(dob=child, email="no address", name="x"), timestamp_ms=SENT_MS)

    world.process()

    assert world.totals() == Counts(read=1, filtered=1)
    assert world.dead_letters() == []
    assert world.documents("dead_letters") == {}
    assert world.rows("users_profiles") == []


def test_changed_key_is_refused(make_world: MakeWorld) -> None:
    world = make_world(PROFILES)
    world.send(profile())
    world.process()
    other = type(world.settings.mongo_uri)("another key")

    with pytest.raises(JobError, match="one person would get two digests"):
        world.process(pii_hash_key=other)
