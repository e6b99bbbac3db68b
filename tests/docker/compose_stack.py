"""A stack of containers with a project name, ports, secrets and an image tag of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pymongo
import yaml

from local_stack.secret_files import make_secret_files
from operations.pipelines import topic_offsets
from settings import PROJECT_ROOT, Settings
from spark_jobs.registry import built_in
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.ledger import Ledger
from tests.conftest import free_ports
from tests.docker.engine import Engine
from tests.support.container_settings import PORTS
from tests.support.containers import COMPOSE_FILE, own_services
from tests.support.processes import wait_for

PROJECT = "millrace-test"
IMAGE = "millrace-test:this"
LABEL = "com.docker.compose"
UP_SECONDS = 600
PROGRESS_SECONDS = 300


class ComposeStack:
    """docker/compose.yaml alongside a user's own stack, which it does not touch."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        names = sorted(PORTS)
        self.ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
        self.settings = Settings(
            _env_file=None,
            millrace_home=folder / "home",
            kafka_bootstrap_servers=f"127.0.0.1:{self.ports['KAFKA_PORT']}",
            cassandra_port=int(self.ports["CASSANDRA_PORT"]),
            mongo_uri=f"mongodb://127.0.0.1:{self.ports['MONGO_PORT']}",
        )
        make_secret_files(self.settings, lambda line: None)
        self.secrets = self.settings.millrace_home / "secrets"
        self.variables = self.ports | {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "SECRETS_FOLDER": str(self.secrets),
            "PROFILES_SOURCE": "offline",
            "TICKETS_RATE": "50",
            "CUSTOMERS_RATE": "50",
        }

    def compose(self, *words: str, image: str = IMAGE, seconds: float = UP_SECONDS) -> str:
        """Run a command of Compose with our image under a tag of the tests."""
        override = self.folder / "image.yaml"
        override.write_text(
            yaml.safe_dump({"services": {name: {"image": image} for name in own_services()}})
        )
        files = ("-f", str(COMPOSE_FILE), "-f", str(override))
        return self.engine.run(
            "docker", "compose", *files, *words, seconds=seconds, **self.variables
        )

    def up(self, *profiles: str, image: str = IMAGE, wait: bool = True) -> None:
        """Start the profiles and, unless one of their services ends, wait until all are healthy."""
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        waiting = ["--wait"] if wait else []
        self.compose(*chosen, "up", "--detach", *waiting, "--no-build", image=image)

    def millrace(self, *words: str) -> str:
        """Run a command of ours in a container; gives its output."""
        return self.compose("run", "--rm", "--no-deps", "--no-TTY", "prepare", "millrace", *words)

    def state(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        (container,) = self.ids("ps", "--all", service=service)
        (found,) = json.loads(self.engine.docker("inspect", container))
        return found

    def is_healthy(self, service: str) -> bool:
        """Whether it runs and its health check, where it has one, passes."""
        state = self.state(service)["State"]
        return state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def kill(self, service: str, what: str = "") -> None:
        """`kill -9`, from outside of its container, of a service's first process or another one."""
        before = self.state(service)
        pids = str(before["State"]["Pid"])
        if what:
            listed = self.engine.docker("top", before["Id"], "-eo", "pid,args").splitlines()
            # The first process only waits for the others, and ends with them.
            found = [line.split() for line in listed if what in line and "docker-init" not in line]
            pids = " ".join(words[0] for words in found)
            assert pids, f"no process of {service} has `{what}` in its command"
        # `docker kill` would count as a stop that is wanted, after which the engine starts nothing.
        self.engine.docker(
            "run", "--rm", "--pid=host", "--network=none", "--cap-drop=ALL", "--cap-add=KILL",
            "--user=0", IMAGE, "sh", "-c", f"kill -9 {pids}",
        )  # fmt: skip
        wait_for(
            lambda: self.state(service)["State"]["StartedAt"] != before["State"]["StartedAt"],
            60, f"restart of {service}",
        )  # fmt: skip

    def read(self, pipeline: str) -> int:
        """Messages that the ledger of a pipeline has confirmed."""
        try:
            with connect_mongodb(self.settings) as client:
                return Ledger(confirmed_database(client, self.settings), pipeline).totals().read
        except pymongo.errors.PyMongoError:
            return 0

    def waiting(self, pipeline: str) -> int:
        """Messages on its topic that no confirmed batch has read."""
        (declared,) = [each for each in built_in() if each.name == pipeline]
        on_topic = topic_offsets(self.settings, declared.topic(self.settings))
        with connect_mongodb(self.settings) as client:
            last = Ledger(confirmed_database(client, self.settings), pipeline).last()
        read = {partition: end for partition, (_, end) in last.offsets.items()} if last else {}
        return sum(end - read.get(partition, begin) for partition, (begin, end) in on_topic.items())

    def wait_for_records(self, pipeline: str, count: int = 200) -> None:
        """Wait until so many more messages are confirmed than are now."""
        wanted = self.read(pipeline) + count
        wait_for(lambda: self.read(pipeline) >= wanted, PROGRESS_SECONDS, f"{wanted} messages read")

    def prove(self, *pipelines: str) -> str:
        """Stop the producers, let the jobs process all, and verify in a container."""
        producers = [f"producer-{pipeline}" for pipeline in pipelines]
        self.compose("stop", *producers)
        for each in pipelines:
            wait_for(partial(self.is_processed, each), PROGRESS_SECONDS, f"end of {each}")
        said = self.millrace("verify")
        assert said.splitlines()[-1] == "verified: nothing lost, nothing doubled"
        counts = ", ".join(f"{each} {self.read(each)}" for each in pipelines)
        self.compose("start", *producers)
        return counts

    def is_processed(self, pipeline: str) -> bool:
        return self.waiting(pipeline) == 0

    def ids(self, *listing: str, service: str = "") -> list[str]:
        """Ids of the project's containers (`ps --all`), networks or volumes."""
        filters = [f"--filter=label={LABEL}.project={PROJECT}"]
        filters += [f"--filter=label={LABEL}.service={service}"] if service else []
        return self.engine.docker(*listing, "--quiet", *filters).split()

    def host_environment(self) -> dict[str, str]:
        """Variables of a command on this machine, such as `make run` with STACK=docker."""
        settings = self.settings
        return self.engine.variables | self.variables | {
            "HOME": os.environ["HOME"],
            "STACK": "docker",
            "MILLRACE_HOME": str(settings.millrace_home),
            "OUTPUT_PATH": str(self.folder / "output"),
            "JARS_PATH": str(PROJECT_ROOT / ".millrace" / "jars"),
            "MILLRACE_SECRETS_DIR": str(self.secrets),
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "CASSANDRA_PORT": str(settings.cassandra_port),
            "MONGO_URI": settings.mongo_uri.get_secret_value(),
        }  # fmt: skip


@contextmanager
def compose_stack(engine: Engine, folder: Path) -> Iterator[ComposeStack]:
    """A stack; all that it has made goes with it."""
    stack = ComposeStack(engine, folder)
    removal = ("--profile", "*", "down", "--volumes", "--timeout", "20")
    # What tests that were killed have left.
    stack.compose(*removal)
    try:
        yield stack
    finally:
        stack.compose(*removal)
