"""What `make status` adds on services that are not well."""

from __future__ import annotations

import pytest

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


def test_status_has_no_notes_on_a_healthy_service(
    sleeper: Sleeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeper.start()

    print_notes([sleeper.state()])

    assert capsys.readouterr().out == ""
