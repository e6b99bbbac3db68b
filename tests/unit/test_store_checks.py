"""What `make doctor` says of topics, tables and collections that differ; no service is needed."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from cql.declared import CassandraShape, declared
from cql.tables import Difference, differences
from operations.doctor import broker_checks
from operations.doctor.broker_checks import FoundTopic, WantedTopic, topic_faults, wanted_topics
from operations.doctor.store_checks import (
    collection_faults,
    node_faults,
    replication_faults,
    right_faults,
    sql_faults,
)
from settings import Settings, load_settings
from spark_jobs.sources.topics import roomier_limit

NO_FILE = Path("no.env")
DAY = {"retention.ms": "604800000", "cleanup.policy": "delete"}
KEPT = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}


def settings(**changes: Any) -> Settings:
    return load_settings(changes, NO_FILE)


def test_every_topic_of_the_pipelines_is_expected() -> None:
    wanted = {topic.name: topic for topic in wanted_topics(settings())}

    assert {name for name, topic in wanted.items() if not topic.is_optional} == {
        "client_tickets",
        "users_profiles",
        "customers-raw",
        "client_tickets-dead-letter",
        "users_profiles-dead-letter",
        "customers-raw-dead-letter",
        "customers-usa",
        "customers-alerts",
    }
    assert {name for name, topic in wanted.items() if topic.is_kept} == {
        f"{source}-{end}"
        for source in ("client_tickets", "users_profiles", "customers-raw")
        for end in ("dead-letter", "redriven")
    }


TOPICS = [
    WantedTopic("t"),
    WantedTopic("t-dead-letter", "t", is_kept=True),
    WantedTopic("t-redriven", is_kept=True, is_optional=True),
]
SOURCE = FoundTopic(3, config={"max.message.bytes": "1000", **DAY})
LETTERS = FoundTopic(3, config={"max.message.bytes": "66536", **KEPT})


def test_topics_as_they_are_made_have_no_fault() -> None:
    assert list(topic_faults(TOPICS, {"t": SOURCE, "t-dead-letter": LETTERS}, settings())) == []


@pytest.mark.parametrize("of_source", [2**31 - 1, 2**31 - 1000])
def test_topic_at_kafkas_own_limit_wants_no_more_for_its_dead_letters(of_source: int) -> None:
    source = replace(SOURCE, config={**DAY, "max.message.bytes": str(of_source)})
    letters = replace(LETTERS, config={**KEPT, "max.message.bytes": str(2**31 - 1)})

    assert list(topic_faults(TOPICS, {"t": source, "t-dead-letter": letters}, settings())) == []
    assert roomier_limit(of_source) == 2**31 - 1


def test_absent_topics_are_left_to_make_up() -> None:
    (fault,) = topic_faults(TOPICS, {}, settings())

    assert fault.text == "missing: t, t-dead-letter: `make up` creates them"
    assert fault.by_itself


@pytest.mark.parametrize(
    ("name", "topic", "expected", "by_itself"),
    [
        pytest.param(
            "t", replace(SOURCE, partitions=1), "t has 1 partitions, TOPIC_PARTITIONS is 3", False,
            id="partitions",
        ),
        pytest.param(
            "t", replace(SOURCE, replicas=0), "t has 0 replicas, TOPIC_REPLICATION_FACTOR is 1",
            False, id="replicas",
        ),
        pytest.param(
            "t", replace(SOURCE, without_leader=2), "2 partitions without a leader", False,
            id="leader",
        ),
        pytest.param(
            "t", replace(SOURCE, config={"cleanup.policy": "compact,delete"}),
            "(cleanup.policy=compact,delete): set cleanup.policy=delete", False, id="compaction",
        ),
        pytest.param(
            "t-dead-letter", replace(LETTERS, config={**KEPT, "max.message.bytes": "66535"}),
            "takes messages of up to 66535 bytes, but those of t need 66536", True, id="limit",
        ),
        pytest.param(
            "t-dead-letter", replace(LETTERS, config={"max.message.bytes": "66536", **DAY}),
            "(retention.ms=604800000): set retention.ms=-1 on it", False, id="retention",
        ),
        pytest.param(
            "t-redriven", FoundTopic(1, config=KEPT | {"cleanup.policy": "compact"}),
            "t-redriven may lose messages (cleanup.policy=compact)", False, id="notes",
        ),
    ],
)  # fmt: skip
def test_topic_that_differs_is_reported(
    name: str, topic: FoundTopic, expected: str, by_itself: bool
) -> None:
    found = {"t": SOURCE, "t-dead-letter": LETTERS} | {name: topic}

    (fault,) = topic_faults(TOPICS, found, settings())

    assert expected in fault.text
    assert fault.by_itself is by_itself


@pytest.mark.parametrize("says_so", [False, True])
def test_broker_too_slow_to_describe_its_topics_is_named(
    says_so: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_checks, "ASK_SECONDS", 0.01)
    answer = Future[Any]()
    if says_so:
        answer.set_exception(KafkaException(KafkaError(broker_checks.TIMED_OUT)))
    slow: Any = SimpleNamespace(describe_configs=lambda asked, **_: dict.fromkeys(asked, answer))

    line = broker_checks._topic_line(  # noqa: SLF001
        slow, SimpleNamespace(topics={"client_tickets": None}), settings()
    )

    assert line.status == "fix"
    assert line.text == "Kafka did not describe them within 0.01 s: check its load"


def test_tables_are_read_from_the_files_with_types_key_and_order() -> None:
    tables = declared()

    assert list(tables) == [
        "support.tickets",
        "support.tickets_by_team",
        "usersprofilespace.users_profiles",
        "usersprofilespace.profiles_by_nationality",
    ]
    assert tables["support.tickets"] == CassandraShape(
        {
            "ticket_id": "text",
            "client_id": "text",
            "created_at": "timestamp",
            "request": "text",
            "request_type": "text",
            "priority": "text",
            "assigned_team": "text",
            "kafka_partition": "int",
            "kafka_offset": "bigint",
            "kafka_timestamp": "timestamp",
        },
        (("ticket_id", "partition_key", "none"),),
        frozenset({"tickets_client_id"}),
    )
    by_team = tables["support.tickets_by_team"]
    assert by_team.key_text == "((assigned_team, created_hour), created_at DESC, ticket_id ASC)"
    assert len(tables["usersprofilespace.profiles_by_nationality"].columns) == 17


ROW = CassandraShape(
    {"id": "text", "at": "timestamp", "note": "text"},
    (("id", "partition_key", "none"), ("at", "clustering", "desc")),
    frozenset({"by_note"}),
    "cql/010_x.cql",
)
RESET = (
    '`make cqlsh CQL="DROP TABLE k.t" && make reset PIPELINE=tickets` creates it again, and the'
    " next job fills it"
)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param({"k.t": ROW}, [], id="alike"),
        pytest.param(
            {"k.t": replace(ROW, columns={**ROW.columns, "more": "int"})}, [], id="one-more"
        ),
        pytest.param(
            {}, [Difference("no table k.t: `make up` creates what is missing", True)], id="absent"
        ),
        pytest.param(
            {"k.t": replace(ROW, columns={"id": "text", "at": "timestamp"})},
            [
                Difference(
                    "k.t has no column note, which cql/010_x.cql has: `make cqlsh"
                    ' CQL="ALTER TABLE k.t ADD (note text)"`'
                )
            ],
            id="column-missing",
        ),
        pytest.param(
            {"k.t": replace(ROW, columns={**ROW.columns, "note": "int"})},
            [Difference(f"k.t.note is int, cql/010_x.cql says text: {RESET}")],
            id="other-type",
        ),
        pytest.param(
            {"k.t": replace(ROW, key=(*ROW.key[:1], ("at", "clustering", "asc")))},
            [
                Difference(
                    f"the key of k.t is ((id), at ASC), cql/010_x.cql says ((id), at DESC): {RESET}"
                )
            ],
            id="other-order",
        ),
        pytest.param(
            {"k.t": replace(ROW, indexes=frozenset())},
            [Difference("no index by_note: `make up` creates it", True)],
            id="no-index",
        ),
    ],
)
def test_table_that_differs_is_distinguished_from_an_absent_one(
    there: dict[str, CassandraShape], expected: list[Difference]
) -> None:
    assert list(differences({"k.t": ROW}, there, "tickets")) == expected


def test_cluster_of_an_older_version_or_without_the_data_centre_is_reported() -> None:
    assert list(node_faults("5.0.9", ["datacenter1"], settings())) == []
    assert [fault.text for fault in node_faults("4.1.3", ["eu-west"], settings())] == [
        "it is Cassandra 4.1.3: the tables need 5.0 or later",
        "it has no data centre `datacenter1`: set CASSANDRA_LOCAL_DATACENTER=eu-west",
    ]


@pytest.mark.parametrize("version", ["5.0-rc1", "5.1-SNAPSHOT", "6"])
def test_cluster_of_a_preliminary_version_is_new_enough(version: str) -> None:
    assert list(node_faults(version, ["datacenter1"], settings())) == []


def test_wrong_number_of_copies_or_more_than_nodes_is_reported() -> None:
    one = {"support": {"class": "N", "datacenter1": "1"}, "usersprofilespace": {"datacenter1": "3"}}
    three = settings(cassandra_replication_factor=3)

    assert list(replication_faults({}, 1, settings())) == []
    (nowhere,) = replication_faults({"support": {"class": "N", "eu": "1"}}, 1, settings())
    assert "support keeps no copies in data centre `datacenter1`" in nowhere.text
    assert [fault.text for fault in replication_faults(one, 2, three)] == [
        "CASSANDRA_REPLICATION_FACTOR is 3, the cluster has 2 nodes: set it to 2 at most",
        "keyspace support keeps 1 copies, CASSANDRA_REPLICATION_FACTOR is 3: set it to 1, or"
        ' `make cqlsh CQL="ALTER KEYSPACE support WITH replication ='
        " {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}\"` and then `nodetool repair`",
    ]


def privilege(db: str, collection: str, *actions: str) -> dict[str, Any]:
    return {"resource": {"db": db, "collection": collection}, "actions": list(actions)}


WRITE = ("find", "insert", "update", "remove", "createIndex")


@pytest.mark.parametrize(
    ("privileges", "missing"),
    [
        pytest.param(None, None, id="no-logins"),
        pytest.param([privilege("millrace", "", *WRITE)], None, id="readWrite"),
        pytest.param([privilege("", "", *WRITE)], None, id="readWriteAnyDatabase"),
        pytest.param(
            [{"resource": {"anyResource": True}, "actions": ["anyAction"]}], None, id="root"
        ),
        pytest.param(
            [privilege("millrace", "", "find")], "createIndex, insert, remove, update", id="read"
        ),
        pytest.param(
            [privilege("other", "", *WRITE), privilege("millrace", "a", *WRITE)],
            "createIndex, find, insert, remove, update",
            id="elsewhere",
        ),
    ],
)
def test_rights_that_the_user_of_mongodb_lacks_are_reported(
    privileges: list[dict[str, Any]] | None, missing: str | None
) -> None:
    found = list(right_faults(privileges, "millrace"))

    assert len(found) == (missing is not None)
    assert all(f"lacks {missing} in `millrace`" in fault.text for fault in found)


def test_leftovers_of_a_rebuild_and_a_missing_index_are_reported() -> None:
    assert list(collection_faults(["batches", "tickets_by_team"], has_index=True)) == []
    index, drafts = collection_faults(["tickets_by_team__rebuild"], has_index=False)

    assert index.by_itself
    assert "tickets_by_team__rebuild are left" in drafts.text
    assert "`.venv/bin/millrace rebuild aggregates`" in drafts.text


def test_absent_tables_of_postgresql_are_distinguished_from_different_ones() -> None:
    absent, other = sql_faults(["no table `tickets`", "no column `users_profiles.age`"])

    assert (absent.text, absent.by_itself) == (
        "no table `tickets`: `make up` creates what is missing",
        True,
    )
    assert other.text.startswith("no column `users_profiles.age`: alter them to match sql/")
