"""One process of the embedded stack: start, readiness by protocol, stop and state.

A service's record, `MILLRACE_HOME/run/<service>.json`, has the process's id and creation time, so
that a reused process id is never mistaken for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import psutil

from errors import StackError
from local_stack.log_lines import log_excerpt
from local_stack.node import ALONE, Node
from local_stack.orphans import lost_its_folder, mark, servers_on
from local_stack.ports import ensure_free, free_port_near, holder, is_free
from runtime.files import write_whole
from runtime.processes import birth_of, is_born, kill
from runtime.surroundings import service_environment
from settings import Settings

LOG_BYTES_KEPT: Final = 5_000_000
PREPARE_TIMEOUT_SECONDS: Final = 120
POLL_SECONDS: Final = 0.2
CLEAN_STOP: Final = signal.SIGTERM
# For servers that wait for their clients to disconnect after a SIGTERM.
FAST_STOP: Final = signal.SIGINT


@dataclass(frozen=True)
class ServiceState:
    """A service's state at this moment.

    Attributes:
        name: `kafka`, `cassandra`, `mongodb` or an extra one.
        running: Its process runs (embedded), or it answers (otherwise).
        pid: Process id, if the embedded stack runs it.
        address: Its address for clients.
        version: Name and version.
        log_path: Its log, if the embedded stack runs it.
        note: A remark for the user, or empty.
        silence: `frozen` or `starting`, if it was asked and did not answer.
    """

    name: str
    running: bool
    pid: int | None
    address: str
    version: str
    log_path: Path | None
    note: str = ""
    silence: str = ""

    @property
    def condition(self) -> str:
        """`up`, `frozen`, `starting`, `left behind` or `down`."""
        if self.running:
            return self.silence or "up"
        return self.silence or ("left behind" if self.pid else "down")


class Service(ABC):
    """A service that listens on loopback and keeps everything under MILLRACE_HOME."""

    name: ClassVar[str]
    port_setting: ClassVar[str]
    # Purposes of further ports that the service needs but no client uses.
    inner_ports: ClassVar[tuple[str, ...]] = ()
    # Purpose of such a port -> the setting that fixes it.
    inner_port_settings: ClassVar[Mapping[str, str]] = {}
    ready_timeout_seconds: ClassVar[float] = 120
    stop_timeout_seconds: ClassVar[float] = 30
    stop_signal: ClassVar[signal.Signals] = CLEAN_STOP

    def __init__(self, settings: Settings, node: Node = ALONE) -> None:
        self.settings, self.node = settings, node
        self.data_path = settings.millrace_home / "data" / self.name
        self.log_path = settings.millrace_home / "logs" / f"{self.name}.log"
        self.record_path = settings.millrace_home / "run" / f"{self.name}.json"

    @property
    @abstractmethod
    def port(self) -> int:
        """The clients' port."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Name and version."""

    @abstractmethod
    def prepare(self, ports: Mapping[str, int]) -> None:
        """Write the configuration and whatever the first start needs."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command that stays in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the service answers a request in its own protocol."""

    def run_to_its_end(self, command: Sequence[str], remedy: str, text: str = "") -> None:
        """Run a command that prepares the data folder, with `text` as its input.

        Raises:
            StackError: it failed; with its last lines, and `remedy` after "Correct the problem;".
        """
        outcome = subprocess.run(
            list(command),
            input=text,
            capture_output=True,
            text=True,
            timeout=PREPARE_TIMEOUT_SECONDS,
            cwd=self.data_path,
            env=service_environment(os.environ),
            check=False,
        )
        if outcome.returncode:
            tail = "\n".join((outcome.stdout + outcome.stderr).splitlines()[-10:])
            raise StackError(
                f"{self.name} could not prepare its data folder {self.data_path}:\n{tail}\n"
                f"Correct the problem; {remedy}"
            )

    @property
    def address(self) -> str:
        """Its address for clients."""
        return f"{self.node.host}:{self.port}"

    def start(self) -> None:
        """Start the process, unless it is running already.

        Raises:
            StackError: a port is taken, or the first start's preparation failed.
        """
        if self.process() is not None:
            return
        for setting, port in self.set_ports().items():
            ensure_free(self.name, port, setting, self.node.host)
        ports = {"client": self.port} | self._choose_inner_ports()
        self.data_path.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.prepare(ports)
        self._start_new_log()
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                list(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data_path,
                env=service_environment(os.environ) | mark(self.data_path),
                # In a separate session, which neither Ctrl-C nor the end of the terminal reaches.
                start_new_session=True,
            )
        record = {"pid": process.pid, "ports": ports, "version": self.version}
        record |= birth_of(psutil.Process(process.pid))
        write_whole(self.record_path, json.dumps(record) + "\n")
        # Collects the exit status if this process outlives the service, as in tests.
        threading.Thread(target=process.wait, daemon=True).start()

    def wait_ready(
        self, timeout_seconds: float | None = None, cancelled: threading.Event | None = None
    ) -> None:
        """Wait until the service answers.

        Raises:
            StackError: it ended or did not answer; the text has the end of its log.
        """
        limit = timeout_seconds or self.ready_timeout_seconds
        deadline = time.monotonic() + limit
        while not (cancelled and cancelled.is_set()):
            if self.process() is None:
                raise StackError(f"{self.name} ended during its start. {self.log_excerpt()}")
            if self.is_ready():
                return
            if time.monotonic() > deadline:
                self.stop()
                raise StackError(
                    f"{self.name} did not answer at {self.address} within {limit:g} s and was"
                    f" stopped. {self.log_excerpt()}"
                )
            time.sleep(POLL_SECONDS)
        raise StackError(f"{self.name}: its start was interrupted; `make up` continues it.")

    def stop(self) -> bool:
        """End the process cleanly, by force if need be; returns whether there was one."""
        process = self.process() or self.abandoned()
        if process is not None:
            self._end(process)
        record = self.record()
        if record:
            # Keep the ports, forget the process.
            write_whole(self.record_path, json.dumps({"ports": record.get("ports", {})}) + "\n")
        return process is not None

    def _end(self, process: psutil.Process) -> None:
        family = [process]
        # It may have been killed a moment ago.
        with suppress(psutil.NoSuchProcess):
            # With all processes that it started.
            family += process.children(recursive=True)
            process.send_signal(self.stop_signal)
        _, alive = psutil.wait_procs(family, timeout=self.stop_timeout_seconds)
        for member in alive:
            kill(member)
        psutil.wait_procs(alive, timeout=10)

    def process(self) -> psutil.Process | None:
        """The recorded process, if it is running."""
        record = self.record()
        try:
            process = psutil.Process(record["pid"])
            same = is_born(process, record) or ("tick" not in record and self._marked() == process)
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except (KeyError, psutil.NoSuchProcess):
            return None
        return process if same and alive else None

    def abandoned(self) -> psutil.Process | None:
        """A running server of this service whose record or data was deleted."""
        process = self.process()
        if process is None:
            return self._marked()
        return process if lost_its_folder(process, self.data_path) else None

    def _marked(self) -> psutil.Process | None:
        """The running server that its environment marks as this folder's, whatever is recorded."""
        return servers_on(self.data_path.parent).get(self.data_path)

    def set_ports(self) -> dict[str, int]:
        """Setting -> its port, for settings that have a value."""
        inner = {
            name: getattr(self.settings, name.lower()) for name in self.inner_port_settings.values()
        }
        return {self.port_setting: self.port} | {n: port for n, port in inner.items() if port}

    def hindrances(self) -> list[str]:
        """Why it cannot be started now, each with the remedy: taken ports, an abandoned server."""
        if left := self.abandoned():
            return [
                f"{self.name}: process {left.pid} still runs, though its files were deleted:"
                " `make down YES=1` ends it"
            ]
        if self.process() is not None:
            return []
        return [
            f"{port} of {self.name} is taken by {holder(port)}: stop it, or set {setting} to"
            " another port"
            for setting, port in self.set_ports().items()
            if not is_free(port, self.node.host)
        ]

    def crashed(self) -> bool:
        """Whether the service was started and never stopped, but is no longer running."""
        return "pid" in self.record() and self.process() is None

    def state(self) -> ServiceState:
        """The service's state at this moment."""
        process = self.process()
        left = self.abandoned()
        note = "ended without `make down`: see its log" if self.crashed() else ""
        if left is not None:
            note = f"process {left.pid} still runs, but its files were deleted: `make down` ends it"
        version = str(self.record().get("version", self.version)) if process else self.version
        pid = left.pid if left else process.pid if process else None
        running = process is not None and left is None
        return ServiceState(self.name, running, pid, self.address, version, self.log_path, note)

    def record(self) -> dict[str, Any]:
        """What `start` recorded; empty if there is no readable record."""
        try:
            record: dict[str, Any] = json.loads(self.record_path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return record

    def log_excerpt(self) -> str:
        """The last lines of the log and its path, to end an error message with."""
        return log_excerpt(self.log_path)

    def _choose_inner_ports(self) -> dict[str, int]:
        remembered = self.record().get("ports", {})
        chosen: dict[str, int] = {}
        for purpose in self.inner_ports:
            if given := self.set_ports().get(self.inner_port_settings.get(purpose, "")):
                chosen[purpose] = given
                continue
            # Other services may be about to use the ports in their settings.
            taken = {self.port, *chosen.values(), *self.settings.ports_here().values()}
            chosen[purpose] = free_port_near(self.port, remembered.get(purpose), taken)
        return chosen

    def _start_new_log(self) -> None:
        # One older log is kept, so that logs stay bounded over many starts.
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES_KEPT:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        with self.log_path.open("a") as log:
            log.write(f"--- {self.name} started {time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n")
