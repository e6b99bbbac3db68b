"""Starts, stops and inspects all services, wherever STACK puts them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from errors import MillraceError, StackError
from local_stack import compose
from local_stack.cassandra import Cassandra
from local_stack.hdfs import HdfsDataNode, HdfsNameNode
from local_stack.kafka import Kafka
from local_stack.log_lines import why_it_ended
from local_stack.mongodb import MongoDB
from local_stack.orphans import servers_on
from local_stack.postgres import Postgres
from local_stack.service import Service, ServiceState
from local_stack.silence import asked
from runtime.config.sink_modules import LEDGER_SINK, SINK_MODULES
from runtime.files import exclusive
from runtime.jars import ensure_jars
from runtime.java import Java, find_java
from runtime.surroundings import raise_open_files, too_few_open_files
from settings import Settings

Report = Callable[[str], object]

JAR_SERVICES: Final = ("kafka", "cassandra", "hdfs")
EXTERNAL_NOTE: Final = "STACK=external: Millrace neither starts nor stops these services"


def services(settings: Settings, java: Java | None = None, report: Report = print) -> list[Service]:
    """The services of the embedded stack: the usual ones, then extra ones that settings ask for."""
    running = servers_on(settings.millrace_home / "data")
    extra: list[Service] = [
        Postgres(settings, report),
        HdfsNameNode(settings, java),
        HdfsDataNode(settings, java),
    ]
    return [
        *(Kafka(settings, java), Cassandra(settings, java), MongoDB(settings)),
        # A running one is included even if the settings no longer ask for it.
        *(
            each
            for each in extra
            if settings.starts(each.name.partition("-")[0])
            or "pid" in each.record()
            or each.data_path in running
        ),
    ]


def check_start(settings: Settings) -> None:
    """Check that the services can be started, before anything is downloaded or started.

    Raises:
        EngineMissing: STACK=docker, and there is no engine.
        StackError: names every port that something else holds; or a setting names another machine.
    """
    if settings.stack == "docker":
        compose.check_engine()
    if settings.stack != "embedded":
        return
    if found := [reason for each in services(settings) for reason in each.hindrances()]:
        listed = "\n".join(f"  - {reason}" for reason in found)
        raise StackError(f"The services cannot be started:\n{listed}\nNothing was started.")


def left_behind(settings: Settings) -> list[ServiceState]:
    """Servers of this state folder whose record or data was deleted, which `down` ends."""
    if settings.stack != "embedded":
        return []
    return [each.state() for each in services(settings) if each.abandoned()]


def up(settings: Settings, report: Report = print) -> None:
    """Start every service that is not up, and wait until each answers.

    Raises:
        StackError: one or more could not be started; the text has a part for each.
    """
    if settings.stack == "external":
        report(EXTERNAL_NOTE)
    elif settings.stack == "docker":
        compose.up(settings, report)
    else:
        with exclusive(settings.millrace_home / "run" / "stack.lock"):
            check_start(settings)
            _up_embedded(settings, report)


def down(settings: Settings, report: Report = print) -> None:
    """Stop every service; data stays."""
    if settings.stack == "external":
        report(EXTERNAL_NOTE)
    elif settings.stack == "docker":
        compose.down(settings, report)
    else:
        with exclusive(settings.millrace_home / "run" / "stack.lock"):
            _down_embedded(settings, report)


def states(settings: Settings) -> list[ServiceState]:
    """The state of each service; with STACK=external, only of those that settings need."""
    everything = services(settings)
    if settings.stack == "embedded":
        return [service.state() for service in everything]
    if settings.stack == "external":
        unused = {*SINK_MODULES} - {*settings.sinks, *settings.services, LEDGER_SINK}
        everything = [service for service in everything if service.name not in unused]
    addresses = {
        "kafka": settings.kafka_bootstrap_servers,
        "cassandra": f"{settings.cassandra_contact_points}:{settings.cassandra_port}",
        "mongodb": _without_password(settings),
        "postgres": settings.postgres_address,
        "hdfs": f"127.0.0.1:{settings.hdfs_port}",
        "hdfs-datanode": f"127.0.0.1:{settings.hdfs_datanode_port}",
    }
    with ThreadPoolExecutor(len(everything)) as pool:
        answers = list(pool.map(lambda service: service.is_ready(), everything))
    version = "container" if settings.stack == "docker" else "external"
    return [
        ServiceState(service.name, answer, None, addresses[service.name], version, None)
        for service, answer in zip(everything, answers, strict=True)
    ]


def asked_states(settings: Settings) -> list[ServiceState]:
    """The state of each service after a request to it, which tells up from frozen."""
    known = {each.name: each for each in services(settings)}
    with ThreadPoolExecutor(len(known)) as pool:
        return list(pool.map(lambda state: asked(known[state.name], state), states(settings)))


def _up_embedded(settings: Settings, report: Report) -> None:
    raise_open_files()
    if fault := too_few_open_files():
        raise StackError(f"The services cannot start: {fault}.")
    # Everything else is installed on the way.
    MongoDB(settings).ensure_installed()
    java = find_java(settings, report)
    cancelled = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        tasks = [
            pool.submit(_bring_up, service, java, report, cancelled)
            for service in services(settings, java, report)
        ]
        # Jobs need these next; downloaded now, they take no extra time.
        tasks.append(pool.submit(ensure_jars, settings, ["spark"], report, java))
        try:
            wait(tasks)
        except BaseException:
            cancelled.set()
            raise
    if faults := _faults(tasks):
        raise StackError("\n\n".join(faults))


def _bring_up(service: Service, java: Java, report: Report, cancelled: threading.Event) -> None:
    started = time.monotonic()
    if service.process() is not None:
        service.wait_ready(cancelled=cancelled)
        report(f"{service.name}: already up at {service.address}")
        return
    if service.crashed():
        reason = why_it_ended(service.log_path)
        report(f"{service.name}: ended earlier without `make down`. {reason}")
    group = service.name.partition("-")[0]
    if group in JAR_SERVICES:
        ensure_jars(service.settings, [group], report, java)
    service.start()
    service.wait_ready(cancelled=cancelled)
    elapsed = time.monotonic() - started
    report(f"{service.name}: {service.version} up at {service.address} after {elapsed:.0f} s")


def _down_embedded(settings: Settings, report: Report) -> None:
    everything = services(settings)
    with ThreadPoolExecutor(len(everything)) as pool:
        stopped = list(pool.map(lambda service: service.stop(), everything))
    for service, was_up in zip(everything, stopped, strict=True):
        report(f"{service.name}: {'stopped' if was_up else 'was not up'}")


def _faults(tasks: list[Future[None]]) -> list[str]:
    faults = [task.exception() for task in tasks]
    for fault in faults:
        if fault is not None and not isinstance(fault, MillraceError):
            raise fault
    return [str(fault) for fault in faults if fault is not None]


def _without_password(settings: Settings) -> str:
    uri = settings.mongo_uri.get_secret_value()
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}"
