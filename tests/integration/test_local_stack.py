"""The embedded stack as a whole: its services really start, die and come back here.

The tests share one stack of their own, apart from the one that other tests use, and run in order:
each leaves the services up.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from pymongo import MongoClient, WriteConcern

from cql import client as cql_client
from cql.rows import select_rows
from errors import StackError
from local_stack import shells, stack
from local_stack.kafka import Kafka
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.sinks.cassandra_log import SETTINGS, lag_seconds
from tests.conftest import free_ports

TOPIC = "survivors"
# Kafka's own default of a message's size, and what a dead-letter topic adds to it.
DEFAULT_MESSAGE_BYTES = 1_048_588
DEAD_LETTER_EXTRA_BYTES = 65_536


def settings_for(home: Path) -> Settings:
    """Settings of a stack of its own, with the jars and shells that this checkout has already."""
    kafka_port, cassandra_port, mongodb_port = free_ports(3)
    home.mkdir(parents=True)
    for shared in ("jars", "tools"):
        folder = PROJECT_ROOT / ".millrace" / shared
        folder.mkdir(parents=True, exist_ok=True)
        (home / shared).symlink_to(folder)
    return load_settings(
        {
            "millrace_home": home,
            "stack": "embedded",
            "kafka_bootstrap_servers": f"127.0.0.1:{kafka_port}",
            "cassandra_port": cassandra_port,
            "mongo_uri": f"mongodb://127.0.0.1:{mongodb_port}",
        },
        home / "no.env",
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("stack") / "home"
    settings = settings_for(home)
    try:
        stack.up(settings)
        yield settings
    finally:
        stack.down(settings)
        shutil.rmtree(home)


def test_every_service_answers_after_up(settings: Settings) -> None:
    states = stack.states(settings)

    assert [(state.name, state.running, state.note) for state in states] == [
        ("kafka", True, ""),
        ("cassandra", True, ""),
        ("mongodb", True, ""),
    ]
    assert all(service.is_ready() for service in stack.services(settings))


def test_up_again_starts_no_second_process(settings: Settings) -> None:
    before = [state.pid for state in stack.states(settings)]
    lines: list[str] = []

    stack.up(settings, lines.append)

    assert [state.pid for state in stack.states(settings)] == before
    assert sorted(line.split(" at ")[0] for line in lines) == [
        "cassandra: already up",
        "kafka: already up",
        "mongodb: already up",
    ]


def test_services_listen_on_loopback_only(settings: Settings) -> None:
    for state in stack.states(settings):
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(state.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening, state.name
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_services_outlive_the_command_that_started_them(settings: Settings) -> None:
    for state in stack.states(settings):
        process = psutil.Process(state.pid)
        # A session of its own: no terminal's end and no Ctrl-C reaches it.
        session = subprocess.run(
            ["ps", "-o", "sid=", "-p", str(process.pid)], capture_output=True, text=True, check=True
        )
        assert int(session.stdout) == process.pid


def test_topics_are_not_made_by_mistake(settings: Settings) -> None:
    producer = Producer(settings.kafka_client_options() | {"message.timeout.ms": 3000})
    faults: list[object] = []

    producer.produce("never-made", b"x", on_delivery=lambda error, message: faults.append(error))
    producer.flush(10)

    assert len(faults) == 1
    assert faults[0] is not None
    admin = AdminClient(settings.kafka_client_options())
    assert "never-made" not in admin.list_topics(timeout=10).topics


def test_dead_letter_topic_takes_what_is_larger_than_its_source_does(settings: Settings) -> None:
    limit = DEFAULT_MESSAGE_BYTES + DEAD_LETTER_EXTRA_BYTES
    make_topic(settings, "small")
    make_topic(settings, "large", {"max.message.bytes": str(limit)})
    value = bytes(DEFAULT_MESSAGE_BYTES)

    assert send(settings, "small", value) != "delivered"
    assert send(settings, "large", value) == "delivered"


def test_frozen_services_are_called_frozen(settings: Settings) -> None:
    services = [psutil.Process(state.pid) for state in stack.states(settings)]
    try:
        for service in services:
            service.suspend()
        frozen = stack.asked_states(settings)
    finally:
        for service in services:
            service.resume()

    assert [state.condition for state in frozen] == ["frozen"] * 3
    assert all(f"kill -CONT {state.pid}" in state.note for state in frozen)
    assert [state.condition for state in stack.asked_states(settings)] == ["up"] * 3


def test_data_survives_kill_and_a_clean_stop(settings: Settings) -> None:
    make_topic(settings, TOPIC)
    write_everywhere(settings, "first")

    for state in stack.states(settings):
        process = psutil.Process(state.pid)
        process.kill()
        process.wait(10)
    dead = stack.states(settings)
    lines: list[str] = []
    stack.up(settings, lines.append)

    assert [(state.running, state.note) for state in dead] == [
        (False, "ended without `make down`: see its log")
    ] * 3
    report = "\n".join(lines)
    for state in dead:
        assert f"{state.name}: ended earlier without `make down`. Its log has no error" in report
        assert str(state.log_path) in report
    # What ended them is not in a log, and nothing else of it is shown.
    assert not [line for line in report.splitlines() if line.startswith("  ")]
    assert read_everywhere(settings) == [["first"]] * 3

    write_everywhere(settings, "second")
    pids = [state.pid for state in stack.states(settings)]
    stack.down(settings)
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert [state.running for state in stack.states(settings)] == [False] * 3

    stack.up(settings)
    assert read_everywhere(settings) == [["first", "second"]] * 3


def test_taken_port_stops_only_its_own_service(settings: Settings, tmp_path: Path) -> None:
    other = settings_for(tmp_path / "home").model_copy(
        update={"kafka_bootstrap_servers": settings.kafka_bootstrap_servers}
    )
    java = find_java(other)
    kafka_pid = stack.states(settings)[0].pid

    with pytest.raises(StackError) as caught:
        Kafka(other, java).start()

    assert settings.kafka_bootstrap_servers in str(caught.value)
    assert f"process {kafka_pid} (java)" in str(caught.value)
    assert "KAFKA_BOOTSTRAP_SERVERS" in str(caught.value)


def test_broker_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    java = find_java(settings)
    ensure_jars(settings, ["kafka"], print, java)
    service = Kafka(settings, java)
    (service.data_path / "log").mkdir(parents=True)
    # Of another node: the broker refuses the folder.
    (service.data_path / "log" / "meta.properties").write_text(
        "version=1\nnode.id=7\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n"
    )

    service.start()
    with pytest.raises(StackError) as caught:
        service.wait_ready(60)

    assert "kafka ended during its start" in str(caught.value)
    assert str(service.log_path) in str(caught.value)
    assert "node" in str(caught.value).partition("Last lines")[2]
    assert service.process() is None


def test_cqlsh_runs_the_table_files_and_prints_only_the_result(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("010_support.cql", "020_usersprofilespace.cql"):
        assert shells.run_cqlsh(settings, f"SOURCE '{PROJECT_ROOT / 'cql' / name}'") == 0
    capfd.readouterr()

    status = shells.run_cqlsh(
        settings, "SELECT (text)'$HOME \"x\"' AS a, cluster_name FROM system.local"
    )

    lines = [line.split() for line in capfd.readouterr().out.splitlines() if line.strip()]
    assert status == 0
    assert lines[0] == ["a", "|", "cluster_name"]
    assert lines[2] == ["$HOME", '"x"', "|", "millrace"]
    assert shells.run_cqlsh(settings, "SELECT nonsense") != 0


def test_mongosh_evaluates_in_the_database_of_the_settings(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    status = shells.run_mongosh(settings, "db.getName() + ' $HOME'")

    assert status == 0
    assert capfd.readouterr().out == "millrace $HOME\n"
    assert shells.run_mongosh(settings, "throw new Error('no')") != 0


def test_interrupted_up_leaves_services_that_down_ends(settings: Settings) -> None:
    stack.down(settings)
    program = (
        "from settings import load_settings; from local_stack import stack;"
        "stack.up(load_settings(), lambda line: print(line, flush=True))"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "MILLRACE_HOME": str(settings.millrace_home),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "CASSANDRA_PORT": str(settings.cassandra_port),
        "MONGO_URI": settings.mongo_uri.get_secret_value(),
    }
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()  # the first service is up, the others are on their way
        starter.kill()
    pids = [state.pid for state in stack.states(settings) if state.pid]
    assert pids

    stack.down(settings)

    assert not any(psutil.pid_exists(pid) for pid in pids)
    stack.up(settings)


def make_topic(settings: Settings, topic: str, config: dict[str, str] | None = None) -> None:
    admin = AdminClient(settings.kafka_client_options())
    new = NewTopic(topic, num_partitions=1, replication_factor=1, config=config or {})
    admin.create_topics([new])[topic].result(20)


def send(settings: Settings, topic: str, value: bytes) -> str:
    options = {"message.max.bytes": 4_000_000, "acks": "all", "message.timeout.ms": 20_000}
    producer = Producer(settings.kafka_client_options() | options)
    outcomes: list[str] = []
    producer.produce(
        topic,
        value,
        on_delivery=lambda error, message: outcomes.append(str(error or "delivered")),
    )
    assert producer.flush(30) == 0
    return outcomes[0]


def write_everywhere(settings: Settings, mark: str) -> None:
    assert send(settings, TOPIC, mark.encode()) == "delivered"
    session = cql_client.connect(settings)
    cql_client.apply_tables(session, settings)
    statement = session.prepare("INSERT INTO support.tickets (ticket_id) VALUES (?)")
    session.execute(statement, (mark,))
    # Confirmed before its log is on disk, for which a job waits (sinks/cassandra_log.py).
    lag = lag_seconds({row["name"]: row["value"] for row in session.execute(SETTINGS)})
    assert lag
    time.sleep(lag)
    read = SimpleStatement("SELECT ticket_id FROM support.tickets WHERE ticket_id = 'any'")
    read.consistency_level = ConsistencyLevel.LOCAL_SERIAL
    session.execute(read)
    cql_client.close(session)
    concern = WriteConcern(w="majority", j=True)
    with MongoClient(settings.mongo_uri.get_secret_value()) as mongo:
        marks = mongo[settings.mongo_database].get_collection("marks", write_concern=concern)
        marks.insert_one({"_id": mark})


def read_everywhere(settings: Settings) -> list[list[str]]:
    session = cql_client.connect(settings)
    rows = select_rows(session, "support", "tickets", limit=10)
    cql_client.close(session)
    with MongoClient(settings.mongo_uri.get_secret_value()) as mongo:
        documents = list(mongo[settings.mongo_database]["marks"].find())
    return [
        read_topic(settings),
        sorted(row["ticket_id"] for row in rows),
        sorted(str(document["_id"]) for document in documents),
    ]


def read_topic(settings: Settings) -> list[str]:
    consumer = Consumer(settings.kafka_client_options() | {"group.id": "test"})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=20)
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        values: list[str] = []
        while len(values) < end:
            message = consumer.poll(20)
            if message is None or message.error():
                raise KafkaException(message and message.error())
            values.append(message.value().decode())
        return values
    finally:
        consumer.close()
