"""Kafka Connect in `make bench`: its configuration, and when a run is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.versions import pinned
from settings import Settings
from tests.benchmarks import plain_consumer
from tests.benchmarks.kafka_connect import (
    SOURCE,
    ConnectError,
    connector_config,
    properties_text,
    reached,
    refuse_failed,
    worker_properties,
)

LOG = Path("connect.log")


def test_the_worker_listens_on_loopback_and_reads_json_without_schemas(tmp_path: Path) -> None:
    properties = worker_properties("127.0.0.1:19092", 18083, tmp_path)

    assert properties["bootstrap.servers"] == "127.0.0.1:19092"
    assert properties["listeners"] == "http://127.0.0.1:18083"
    assert properties["value.converter.schemas.enable"] == "false"
    # Otherwise the end of a run would be seen up to a minute later.
    assert int(properties["offset.flush.interval.ms"]) <= 500
    assert properties["offset.storage.file.filename"] == f"{tmp_path}/offsets"


def test_a_connector_has_a_task_for_each_partition_and_skips_what_is_no_json(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"cassandra_port": 9042})

    config = connector_config(settings, "client_tickets", 3, "support", "bench_1")

    assert config["tasks.max"] == "3"
    assert config["topics"] == "client_tickets"
    assert config["errors.tolerance"] == "all"
    assert (config["cassandra.host"], config["cassandra.port"]) == ("127.0.0.1", "9042")
    assert (config["cassandra.keyspace"], config["mongo.database"]) == ("support", "bench_1")


def test_properties_are_written_a_line_each() -> None:
    assert properties_text({"a.b": "1", "c": "x y"}) == "a.b=1\nc=x y\n"


@pytest.mark.parametrize(
    ("offsets", "is_done"),
    [
        pytest.param({0: 5, 1: 7}, True, id="at the ends"),
        pytest.param({0: 6, 1: 7}, True, id="past an end"),
        pytest.param({0: 5, 1: 6}, False, id="one partition is behind"),
        pytest.param({0: 5}, False, id="one partition is not committed"),
    ],
)
def test_it_is_done_when_every_partition_is_committed_to_its_end(
    offsets: dict[int, int], is_done: bool
) -> None:
    assert reached(offsets, {0: 5, 1: 7}) is is_done


def test_a_failed_task_ends_the_measurement_with_its_innermost_cause() -> None:
    runs, failed = (
        {"state": "RUNNING"},
        {"state": "FAILED", "trace": "it ends\n\tat x\nCaused by: no host\n\tat y"},
    )

    with pytest.raises(ConnectError, match=r"failed: no host\. See connect\.log"):
        refuse_failed({"connector": runs, "tasks": [runs, failed]}, LOG)
    refuse_failed({"connector": runs, "tasks": [runs]}, LOG)


def test_both_peers_write_the_same_columns() -> None:
    source = SOURCE.read_text()

    columns = ", ".join(f'"{name}"' for name in plain_consumer.TABLES["tickets_by_team"])
    assert columns in " ".join(source.split())


def test_connect_has_the_version_of_the_broker() -> None:
    versions = {
        coordinate.rpartition(":")[2]
        for group in ("kafka", "connect")
        for coordinate in pinned("jars", group)
        if coordinate.startswith("org.apache.kafka:")
    }

    assert len(versions) == 1
