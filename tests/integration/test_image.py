"""What the containers run, run: without Docker, in the environment that the image has.

compose.yaml gives commands, variables and health checks, the Dockerfile the rest; only paths,
addresses and ports are those of this machine.
"""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pymongo

from local_stack.secret_files import make_secret_files
from settings import Settings
from spark_jobs.state.ledger import Ledger
from tests.conftest import free_ports
from tests.support.containers import own_services
from tests.support.image import Image, built_image
from tests.support.processes import wait_for
from tests.support.user import TOPICS

MARK = uuid.uuid4().hex[:10]
OWN = {
    "MONGO_DATABASE": f"t{MARK}",
    **{setting: f"{name}-{MARK}" for setting, name in TOPICS.items()},
}
TICKETS = 40
# With the packages of requirements.lock alone; pytest, which loads the fixtures, is not among them.
IMPORT_ALL = """
import importlib, pathlib
for path in {*pathlib.Path().glob("[a-z]*/**/*.py")} - {pathlib.Path("millrace/fixtures.py")}:
    importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
"""


def lay_secrets(image: Image, home: Path) -> None:
    """The files that are made for the containers, as a container finds them."""
    make_secret_files(Settings(millrace_home=home), lambda line: None)
    for path in (*home.rglob("pii_hash_key"), *home.rglob("containers/*")):
        (image.secrets / path.name).write_text(path.read_text())


def address(image: Image, settings: Settings) -> None:
    """Say here what the network of the containers calls kafka, cassandra and so on."""
    master, master_ui, worker_ui = (str(port) for port in free_ports(3))
    image.names |= {
        "kafka:9092": settings.kafka_bootstrap_servers,
        "mongodb://mongodb:27017": settings.mongo_uri.get_secret_value(),
        "9042": str(settings.cassandra_port),
        "cassandra": settings.cassandra_contact_points,
        "spark-master:7077": f"127.0.0.1:{master}",
        "spark-master": "127.0.0.1",
        "7077": master,
        "8080": master_ui,
        "8081": worker_ui,
        "127.0.0.1:8080": f"127.0.0.1:{master_ui}",
        "127.0.0.1:8081": f"127.0.0.1:{worker_ui}",
    }


def test_tickets_reach_their_stores_by_the_commands_of_the_containers(
    stack_settings: Settings, tmp_path: Path
) -> None:
    services = own_services(SINKS="mongodb,files")
    running: list[subprocess.Popen[str]] = []
    with built_image(tmp_path, stack_settings) as image:
        lay_secrets(image, tmp_path / "home")
        address(image, stack_settings)
        before = image.written()

        def start_logged(name: str) -> subprocess.Popen[str]:
            with (tmp_path / f"{name}.log").open("w") as log:
                return image.start(services[name], output=log)

        try:
            running.append(start_logged("spark-master"))
            image.run({"command": ["python", "-c", IMPORT_ALL]})
            prepared = image.run(own_services()["prepare"], **OWN)
            wait_for(lambda: image.is_healthy(services["spark-master"]), 90, "healthy master")
            running.append(start_logged("spark-worker"))
            sent = image.run(services["producer-tickets"], "--count", str(TICKETS), **OWN)
            wait_for(lambda: image.is_healthy(services["spark-worker"]), 90, "healthy worker")
            done = image.run(services["job-tickets"], "--available-now", **OWN)
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(60)
        after = image.written()

    assert "topics, tables and collections are ready" in prepared
    assert f"sent={TICKETS} delivered={TICKETS} failed=0" in sent
    assert "query=tickets ended" in done
    with pymongo.MongoClient[dict[str, Any]](stack_settings.mongo_uri.get_secret_value()) as client:
        counts = Ledger(client[OWN["MONGO_DATABASE"]], "tickets").totals()
    assert (counts.read, counts.stored) == (TICKETS, TICKETS)
    output = image.state / "output" / "tickets_with_assignment"
    assert sum(pq.read_table(path).num_rows for path in output.rglob("*.parquet")) == TICKETS
    # The cluster did it, with the jars of the image; nothing was looked up or written elsewhere.
    executors = list((image.state / "worker").glob("app-*/0"))
    assert executors
    assert list(executors[0].glob("spark-sql-kafka-0-10_2.12-*.jar"))
    assert not (image.state / ".ivy2").exists()
    assert after == before
    logs = "".join(path.read_text() for path in (image.state / "logs").glob("*"))
    assert "resolving dependencies" not in logs
