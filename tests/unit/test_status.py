"""What `make status` adds on services that are not well."""

from __future__ import annotations

import socket
import time

import psutil
import pytest

from local_stack.service import ServiceState
from local_stack.silence import asked
from operations.status import print_notes
from tests.support.stand_ins import Sleeper, wait_for_line


def test_status_reports_a_dead_service_with_the_end_of_its_log(
    sleeper: Sleeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeper.program = "print('out of disk', flush=True); import time; time.sleep(600)"
    sleeper.start()
    wait_for_line(sleeper.log_path, "out of disk")
    process = sleeper.process()
    assert process is not None
    process.kill()
    process.wait(5)

    print_notes([sleeper.state()])

    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "sleeper: ended without `make down`: see its log"
    assert shown[1] == f"Last lines of {sleeper.log_path}:"
    assert shown[-1] == "  out of disk"


def test_service_that_is_there_and_does_not_answer_is_starting_or_frozen(
    sleeper: Sleeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeper.start()
    assert asked(sleeper, sleeper.state()).condition == "up"
    sleeper.ready = False
    assert asked(sleeper, sleeper.state()).condition == "starting"
    sleeper.ready_timeout_seconds = 0  # type: ignore[misc]
    assert asked(sleeper, sleeper.state()).condition == "frozen"
    sleeper.ready_timeout_seconds = 600  # type: ignore[misc]
    process = sleeper.process()
    assert process is not None
    process.suspend()
    while process.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    frozen = asked(sleeper, sleeper.state())
    process.resume()

    assert frozen.condition == "frozen"
    print_notes([frozen])
    assert f"`kill -CONT {process.pid}` continues it" in capsys.readouterr().out
    process.kill()
    process.wait(5)
    assert asked(sleeper, sleeper.state()).condition == "down"


@pytest.mark.parametrize(("listens", "expected"), [(True, "frozen"), (False, "down")])
def test_service_elsewhere_is_frozen_if_its_port_takes_connections(
    sleeper: Sleeper, *, listens: bool, expected: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"mongodb://127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        state = ServiceState("mongodb", False, None, place, "external", None)

        assert asked(sleeper, state).condition == expected


def test_status_has_no_notes_on_a_healthy_service(
    sleeper: Sleeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeper.start()

    print_notes([sleeper.state()])

    assert capsys.readouterr().out == ""
