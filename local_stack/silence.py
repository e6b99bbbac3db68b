"""Services that are there but do not answer: a server that starts, or one that is frozen."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

import psutil

from local_stack.service import Service, ServiceState
from runtime.reachable import unreached

CONNECT_SECONDS: Final = 1.0
ADDRESS: Final = re.compile(r"([^\s/,:@]+):(\d+)")


def asked(service: Service, state: ServiceState) -> ServiceState:
    """The state after a request in the service's own protocol.

    One that takes connections and does not answer is `frozen`; `starting` if it is young.
    """
    is_ours = state.log_path is not None
    if is_ours and not state.running:
        return state
    # Elsewhere, a service that counts as running has just answered.
    if service.is_ready() if is_ours else state.running:
        return state
    process = service.process() if is_ours else None
    if process is not None and _is_starting(process, service.ready_timeout_seconds):
        return replace(state, silence="starting")
    if process is None and not _takes_connections(state.address):
        return state
    return replace(state, silence="frozen", note=_what_to_do(state, process))


def _is_starting(process: psutil.Process, seconds: float) -> bool:
    return not _is_stopped(process) and time.time() - process.create_time() < seconds


def _is_stopped(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_STOPPED
    return False


def _takes_connections(address: str) -> bool:
    places = [(host, int(port)) for host, port in ADDRESS.findall(address)]
    return len(unreached(places, CONNECT_SECONDS)) < len(places)


def _what_to_do(state: ServiceState, process: psutil.Process | None) -> str:
    if process is None:
        return f"{state.address} takes connections and does not answer; `make doctor` says more"
    if _is_stopped(process):
        return (
            f"process {process.pid} is stopped (SIGSTOP): `kill -CONT {process.pid}` continues it"
        )
    return (
        f"process {process.pid} runs and does not answer: see `make logs SERVICE={state.name}`;"
        " `make down`, then `make up` starts it again"
    )
