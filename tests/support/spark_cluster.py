"""A standalone Spark cluster from PySpark's own jars: a master and workers, as on other machines.

Each has a folder, a home and a SPARK_HOME of its own, and nothing of the environment of the tests.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyspark
import requests

from operations.producing import end_with_parent
from tests.conftest import free_ports
from tests.support.processes import kill_with_children, wait_for

START_SECONDS = 180
DAEMONS = "org.apache.spark.deploy"
# Of the environment of the tests, what a JVM needs on this machine.
JAVA_VARIABLES = ("PATH", "JAVA_HOME", "JAVA_TOOL_OPTIONS")


class SparkCluster:
    """A master and two workers, by default of one core."""

    def __init__(self, folder: Path, memory: str, cores: int = 1) -> None:
        self.folder, self.memory, self.cores = folder, memory, cores
        self.port, self.page, *self.worker_pages = free_ports(4)
        self.master_process = self._start("master", "master.Master", self.port, self.page)
        self.workers = [self._start_worker(number) for number in (0, 1)]

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def state(self) -> dict[str, Any]:
        """What the master says of workers and applications."""
        answer = requests.get(f"http://127.0.0.1:{self.page}/json/", timeout=30)
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state

    def wait_for_workers(self) -> None:
        wait_for(lambda: self.alive_workers() == 2, START_SECONDS, "two workers")

    def alive_workers(self) -> int:
        try:
            return int(self.state()["aliveworkers"])
        # A master that starts refuses connections, then knows none of its pages for a moment.
        except (requests.ConnectionError, requests.HTTPError):
            return 0

    def executors(self) -> list[psutil.Process]:
        return [
            child for worker in self.workers for child in _children(worker) if _is_executor(child)
        ]

    def pages(self) -> Iterator[str]:
        """Addresses of what master and living workers show."""
        pages = [self.page]
        living = zip(self.workers, self.worker_pages, strict=True)
        pages += [page for worker, page in living if worker.poll() is None]
        for page in pages:
            yield f"http://127.0.0.1:{page}/"
            yield f"http://127.0.0.1:{page}/json/"

    def kill_worker(self, number: int) -> None:
        """`kill -9` of a worker and its executors at once, as if its machine were gone."""
        kill_with_children(self.workers[number])

    def start_again(self, number: int) -> None:
        """Start a worker that was killed."""
        self.workers[number] = self._start_worker(number)

    def stop(self) -> None:
        for process in (*self.workers, self.master_process):
            if process.poll() is None:
                kill_with_children(process)

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        return self._start(
            f"worker-{number}", "worker.Worker", 0, self.worker_pages[number],
            "--cores", str(self.cores), "--memory", self.memory, self.url,
        )  # fmt: skip

    def _start(
        self, name: str, daemon: str, port: int, page: int, *options: str
    ) -> subprocess.Popen[bytes]:
        own = self.folder / name
        own.mkdir(parents=True, exist_ok=True)
        home = own / "spark"
        if not home.exists():
            home.symlink_to(Path(pyspark.__file__).parent)
        command = [str(home / "bin" / "spark-class"), f"{DAEMONS}.{daemon}", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--webui-port", str(page), *options]
        with (own / "daemon.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=own,
                env=self._environment(own, home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def _environment(self, own: Path, home: Path) -> Mapping[str, str]:
        java = {name: os.environ[name] for name in JAVA_VARIABLES if name in os.environ}
        return java | {
            "HOME": str(own),
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_LOCAL_DIRS": str(own / "local"),
            "SPARK_WORKER_DIR": str(own / "work"),
        }


@contextmanager
def spark_cluster(folder: Path, memory: str, cores: int = 1) -> Iterator[SparkCluster]:
    cluster = SparkCluster(folder, memory, cores)
    try:
        cluster.wait_for_workers()
        yield cluster
    finally:
        cluster.stop()


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_executor(process: psutil.Process) -> bool:
    try:
        return "CoarseGrainedExecutorBackend" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
