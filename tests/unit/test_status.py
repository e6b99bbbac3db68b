"""What `make status` adds on services that are not well."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
import pytest

from local_stack.log_lines import why_it_ended
from local_stack.service import ServiceState
from local_stack.silence import asked
from operations.status import print_notes
from tests.support.stand_ins import Sleeper, wait_for_line


def test_status_reports_a_dead_service_with_the_end_of_its_log(
    sleeper: Sleeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeper.program = "print('ERROR out of disk', flush=True); import time; time.sleep(600)"
    sleeper.start()
    wait_for_line(sleeper.log_path, "ERROR out of disk")
    process = sleeper.process()
    assert process is not None
    process.kill()
    process.wait(5)

    print_notes([sleeper.state()])

    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "sleeper: ended without `make down`: see its log"
    assert shown[1:] == [f"Its log ends with ({sleeper.log_path}):", "  ERROR out of disk"]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (["2026-11-28 10:00:00,1 INFO ready", "2026-11-28 12:00:00,1 WARN slow"], []),
        # An error of an earlier run, and one long before the end, did not end it.
        (["2026-11-28 09:59:59 ERROR old", "--- kafka started 2026-11-28T10:00:00+0000", "up"], []),
        (["2026-11-28 10:00:00 ERROR refused", "2026-11-28 12:00:00 INFO ready"], []),
        (
            ["2026-11-28 12:00:00 INFO ready", "2026-11-28 12:00:05 ERROR disk", "  at a.B"],
            ["2026-11-28 12:00:05 ERROR disk"],
        ),
        (
            ["2026-11-28 12:00:00 INFO ready", "java.lang.OutOfMemoryError: Java heap space"],
            ["java.lang.OutOfMemoryError: Java heap space"],
        ),
        (
            ['{"t":{"$date":"2026-11-28T12:00:05.0+00:00"},"s":"F","msg":"fassert"}'],
            ['{"t":{"$date":"2026-11-28T12:00:05.0+00:00"},"s":"F","msg":"fassert"}'],
        ),
        (
            [f"2026-11-28 12:00:0{n} ERROR {n}" for n in range(9)],
            [f"2026-11-28 12:00:0{n} ERROR {n}" for n in range(4, 9)],
        ),
        ([], []),
    ],
)
def test_only_errors_at_the_end_of_a_log_are_shown_of_a_service_that_ended(
    tmp_path: Path, log: list[str], expected: list[str]
) -> None:
    path = tmp_path / "kafka.log"
    path.write_text("\n".join(log))

    head, *shown = why_it_ended(path).splitlines()

    assert [line.strip() for line in shown] == expected
    assert str(path) in head
    assert ("it was killed" in head) is (not expected)


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
