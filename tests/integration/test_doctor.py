"""`make doctor` on running services: all well, and each thing that can be wrong with them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from pydantic import SecretStr

from cql.declared import CassandraShape, declared
from cql.tables import differences, present
from operations.doctor import place_checks
from operations.doctor.broker_checks import look_at_kafka
from operations.doctor.check import Line, Status, run_checks
from operations.doctor.doctor import checks_for, summary_of_checks
from operations.doctor.machine_checks import look_at_clock
from operations.doctor.place_checks import look_at_output, look_at_source
from operations.doctor.store_checks import look_at_cassandra, look_at_mongodb, look_at_postgres
from settings import PROJECT_ROOT, Settings
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sources.broker import existing_topics, kafka_admin
from spark_jobs.state.clock import Moment
from spark_jobs.state.ledger import Counts, Entry, Ledger
from sql import client as sql_client
from tests.conftest import free_ports
from tests.support.postgres import MakeDatabase
from tests.support.s3 import KEY, REGION, SECRET, s3_client, s3_endpoint

__all__ = ["s3_endpoint"]


def changed(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=changes)


def by_name(lines: list[Line]) -> dict[str, Line]:
    return {line.name: line for line in lines}


def own_name() -> str:
    return f"d{uuid.uuid4().hex[:10]}"


def doctor_command() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("millrace")), "doctor"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_running_stack_is_well_in_every_line(stack_settings: Settings) -> None:
    done = doctor_command()

    *lines, verdict = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("ok   ")] == []
    assert verdict == f"doctor: {len(lines)} checks ok"
    assert done.returncode == 0
    names = {line.split()[1] for line in lines}
    assert names >= {"python", "java", "versions", "kafka", "topics", "tables", "collections"}
    assert summary_of_checks(stack_settings) == [verdict]


def test_doctor_creates_nothing(settings: Settings, tmp_path: Path) -> None:
    elsewhere = changed(
        settings,
        millrace_home=tmp_path / "home",
        output_path=str(tmp_path / "output"),
        mongo_database=own_name(),
        tickets_topic=own_name(),
        stack="external",
    )
    before = existing_topics(settings)

    lines = by_name(run_checks(checks_for(elsewhere), elsewhere))

    name = elsewhere.tickets_topic
    assert f"missing: {name}, {name}-dead-letter: `make up` creates them" in lines["topics"].text
    assert lines["topics"].by_itself
    assert lines["collections"].text == "`batches` has no index: `make up` creates it"
    assert existing_topics(settings) == before
    assert list(tmp_path.iterdir()) == []
    with connect_mongodb(settings) as client:
        assert elsewhere.mongo_database not in client.list_database_names()


def test_changed_topics_are_reported(settings: Settings, make_topic: Callable[[], str]) -> None:
    topic = make_topic()
    admin = kafka_admin(settings)
    entry = ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, f"{topic}-dead-letter", incremental_configs=[entry]
    )
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)
    narrow = changed(settings, tickets_topic=topic, topic_partitions=4)

    line = by_name(look_at_kafka(narrow))["topics"]

    assert line.status is Status.FIX
    assert not line.by_itself
    assert f"{topic} has 3 partitions, TOPIC_PARTITIONS is 4" in line.text
    assert f"{topic}-dead-letter may lose messages (retention.ms=60000)" in line.text


def test_broker_that_is_away_or_refuses_the_login_is_reported(settings: Settings) -> None:
    (port,) = free_ports(1)
    away = changed(settings, stack="external", kafka_bootstrap_servers=f"127.0.0.1:{port}")
    otherwise = changed(
        settings,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="me",
        kafka_sasl_password=SecretStr("never shown"),
    )

    kafka, topics = look_at_kafka(away)
    assert kafka.text == (
        f"cannot connect to 127.0.0.1:{port} (connection refused): start it, or correct"
        " KAFKA_BOOTSTRAP_SERVERS"
    )
    assert (topics.status, topics.text) == (Status.NOT_YET, "not checked: Kafka is away")
    assert look_at_kafka(otherwise)[0].text == (
        f"{settings.kafka_bootstrap_servers} refused the login: correct KAFKA_SASL_USERNAME,"
        " KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    )


def test_changed_tables_are_reported(settings: Settings, cassandra: Session) -> None:
    keyspace = own_name()
    cassandra.execute(
        f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy',"
        " 'replication_factor': 1}",
        timeout=60,
    )
    wanted = declared()["support.tickets"]
    tables = {
        "alike": "{columns}, more int, PRIMARY KEY (ticket_id)",
        "other_type": "{columns}, PRIMARY KEY (ticket_id)",
        "other_key": "{columns}, PRIMARY KEY (client_id, ticket_id)",
        "narrower": "{columns}, PRIMARY KEY (ticket_id)",
    }
    types = {
        "other_type": {**wanted.columns, "kafka_offset": "int"},
        "narrower": {name: kind for name, kind in wanted.columns.items() if name != "priority"},
    }
    for name, body in tables.items():
        columns = ", ".join(f"{c} {t}" for c, t in types.get(name, wanted.columns).items())
        cassandra.execute(
            f"CREATE TABLE {keyspace}.{name} ({body.format(columns=columns)})", timeout=60
        )
    shapes = {
        f"{keyspace}.{name}": CassandraShape(wanted.columns, wanted.key, origin=wanted.origin)
        for name in [*tables, "never_made"]
    }

    found = {
        each.text.partition(":")[0]: each.is_absent
        for each in differences(shapes, present(cassandra, shapes), "tickets")
    }

    assert found == {
        f"no table {keyspace}.never_made": True,
        f"{keyspace}.other_type.kafka_offset is int, cql/010_support.cql says bigint": False,
        f"the key of {keyspace}.other_key is ((client_id), ticket_id ASC), cql/010_support.cql"
        " says ((ticket_id))": False,
        f"{keyspace}.narrower has no column priority, which cql/010_support.cql has": False,
    }


def test_wrong_data_centre_and_number_of_copies_are_reported(settings: Settings) -> None:
    other = changed(settings, cassandra_local_datacenter="eu-west", cassandra_replication_factor=3)

    node, tables = look_at_cassandra(other)

    assert "set CASSANDRA_LOCAL_DATACENTER=datacenter1" in node.text
    assert "CASSANDRA_REPLICATION_FACTOR is 3, the cluster has 1 nodes" in tables.text


def test_clock_behind_the_last_batch_is_reported(settings: Settings) -> None:
    own = changed(settings, mongo_database=own_name())
    ahead = datetime.now(UTC) + timedelta(hours=5)
    entry = Entry(
        "tickets", "t", "q", 0, {0: (0, 1)}, Counts(read=1), ("mongodb",), moment=Moment(ahead)
    )
    with connect_mongodb(own) as client:
        Ledger(confirmed_database(client, own), "tickets").confirm(entry)

    (line,) = look_at_clock(own)

    assert line.status is Status.FIX
    assert "5 hours behind the last batch" in line.text


def test_leftovers_of_a_rebuild_are_reported(settings: Settings) -> None:
    own = changed(settings, mongo_database=own_name())
    with connect_mongodb(own) as client:
        client[own.mongo_database].create_collection("tickets_by_team__rebuild")
        Ledger(confirmed_database(client, own), "tickets").prepare()

    line = by_name(look_at_mongodb(own))["collections"]

    assert line.text.startswith("tickets_by_team__rebuild are left over from")


def test_postgresql_with_a_changed_table_or_password_is_reported(
    settings: Settings, make_database: MakeDatabase
) -> None:
    dsn = make_database()
    external = changed(settings, stack="external", postgres_dsn=dsn)
    other = dsn.get_secret_value().replace("s%40cret", "another-one")
    wrong = changed(external, postgres_dsn=SecretStr(other))
    assert [line.status for line in look_at_postgres(external)] == [Status.OK, Status.OK]
    with sql_client.connect(external) as connection:
        connection.execute("ALTER TABLE tickets DROP COLUMN priority")
        connection.execute("DROP TABLE customers_usa")

    tables = look_at_postgres(external)[1].text
    checks = [check for check in checks_for(changed(wrong, sinks=("postgres",)))
              if "postgres" in check.names]  # fmt: skip
    refused, unseen = run_checks(checks, wrong)

    assert "no table `customers_usa`: `make up` creates what is missing" in tables
    assert "no column `tickets.priority`: alter them to match sql/" in tables
    assert "refused the connection" in refused.text
    assert "Correct `POSTGRES_DSN`" in refused.text
    assert "another-one" not in refused.text
    assert unseen.status is Status.NOT_YET


def test_absent_bucket_is_reported(
    settings: Settings, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server of this test loads its parts at the first request: on a busy machine that alone
    # takes as long as a user would wait.
    monkeypatch.setattr(place_checks, "S3_SECONDS", 60)
    at_s3 = changed(
        settings,
        output_path="s3a://millrace-doctor/out",
        customers_source="s3://millrace-doctor/customers.csv",
        aws_access_key_id=KEY,
        aws_secret_access_key=SecretStr(SECRET),
        aws_region=REGION,
        s3_endpoint_url=s3_endpoint,
    )

    (absent,) = look_at_output(at_s3)
    s3_client(s3_endpoint).create_bucket(Bucket="millrace-doctor")
    (there,), (no_object,) = look_at_output(at_s3), look_at_source(at_s3)
    (port,) = free_ports(1)
    (away,) = look_at_output(changed(at_s3, s3_endpoint_url=f"http://127.0.0.1:{port}"))

    assert absent.text == (
        "S3 refuses `s3a://millrace-doctor/out` (NoSuchBucket): `make up` creates it, or correct"
        " the name"
    )
    assert absent.by_itself
    assert there.status is Status.OK
    assert "(404)" in no_object.text
    assert f"S3 at http://127.0.0.1:{port} does not answer" in away.text
    for line in (absent, no_object, away):
        assert SECRET not in line.text
