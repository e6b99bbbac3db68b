"""One service of the embedded stack: its process, its record, its log, its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from errors import StackError
from local_stack.orphans import mark
from runtime.files import write_whole
from runtime.processes import birth_of, is_born
from settings import Settings
from tests.support.stand_ins import Sleeper, wait_for_line


@pytest.mark.parametrize("deleted", [".", "data", "data/sleeper"])
def test_server_whose_files_were_deleted_is_recognised_and_stopped(
    deleted: str, sleeper: Sleeper, settings: Settings, tmp_path: Path
) -> None:
    other = Sleeper(settings.model_copy(update={"millrace_home": tmp_path / "other"}))
    other.start()
    sleeper.start()
    process = sleeper.process()
    assert process is not None
    assert sleeper.abandoned() is None

    shutil.rmtree(settings.millrace_home / deleted)

    state = sleeper.state()
    assert (state.running, state.pid) == (False, process.pid)
    assert f"process {process.pid} still runs, but its files were deleted" in state.note
    assert sleeper.hindrances() == [
        f"sleeper: process {process.pid} still runs, though its files were deleted:"
        " `make down YES=1` ends it"
    ]
    assert sleeper.stop()
    assert not process.is_running()
    assert other.stop(), "that of another state folder was ended too"


def test_started_service_is_recorded_and_stopped(sleeper: Sleeper) -> None:
    sleeper.start()
    sleeper.wait_ready(5)
    process = sleeper.process()
    assert process is not None

    assert sleeper.state().running
    assert sleeper.state().pid == process.pid
    assert sleeper.stop()
    assert not psutil.pid_exists(process.pid)
    assert not sleeper.state().running
    assert sleeper.state().note == ""
    assert not sleeper.stop()


def test_server_that_was_killed_a_moment_ago_is_stopped_without_an_error(
    sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper.start()
    process = sleeper.process()
    assert process is not None
    process.kill()
    psutil.wait_procs([process], timeout=10)
    # As if it had been killed after it was looked for.
    monkeypatch.setattr(sleeper, "process", lambda: process)

    sleeper.stop()

    assert "pid" not in sleeper.record()


def test_second_start_keeps_the_process(sleeper: Sleeper) -> None:
    sleeper.start()
    first = sleeper.state().pid

    sleeper.start()

    assert sleeper.state().pid == first


def test_service_gets_no_secrets_from_the_environment(
    sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PII_HASH_KEY", "secret-of-the-test")
    sleeper.ready = False
    sleeper.program = "import os; print(sorted(os.environ))"

    sleeper.start()
    with pytest.raises(StackError) as caught:
        sleeper.wait_ready(5)

    assert "PATH" in str(caught.value)
    assert "PII_HASH_KEY" not in str(caught.value)


def test_service_that_dies_during_its_start_is_reported_with_its_log(sleeper: Sleeper) -> None:
    sleeper.ready = False
    sleeper.program = "print('line 1'); raise SystemExit('no space on device')"

    sleeper.start()
    with pytest.raises(StackError) as caught:
        sleeper.wait_ready(20)

    assert "sleeper ended during its start" in str(caught.value)
    assert "no space on device" in str(caught.value)
    assert str(sleeper.log_path) in str(caught.value)


def test_service_that_stays_silent_is_stopped_and_reported(sleeper: Sleeper) -> None:
    sleeper.ready = False
    sleeper.start()
    process = sleeper.process()
    assert process is not None

    with pytest.raises(StackError, match=r"did not answer .* within 0\.5 s and was stopped"):
        sleeper.wait_ready(0.5)

    assert not psutil.pid_exists(process.pid)


def test_service_that_ignores_the_signal_is_killed(sleeper: Sleeper) -> None:
    sleeper.stop_timeout_seconds = 1
    sleeper.program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(600)"
    )
    sleeper.start()
    process = sleeper.process()
    assert process is not None
    wait_for_line(sleeper.log_path, "deaf")

    sleeper.stop()

    assert not psutil.pid_exists(process.pid)


def test_service_found_dead_is_noted(sleeper: Sleeper) -> None:
    sleeper.start()
    process = sleeper.process()
    assert process is not None

    process.kill()
    process.wait(5)

    assert sleeper.crashed()
    assert "ended without `make down`" in sleeper.state().note


def test_reused_process_id_is_never_stopped(sleeper: Sleeper) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        created = psutil.Process(stranger.pid).create_time() - 3600
        write_whole(sleeper.record_path, json.dumps({"pid": stranger.pid, "created": created}))

        assert sleeper.process() is None
        assert not sleeper.stop()

        assert stranger.poll() is None
        stranger.kill()


def test_running_service_is_known_after_the_clock_was_set(
    sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper.start()
    process = sleeper.process()
    assert process is not None
    before = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: before + 3600)
    assert psutil.Process(process.pid).create_time() - process.create_time() > 3000

    assert sleeper.process() == psutil.Process(process.pid)
    assert sleeper.abandoned() is None
    assert sleeper.hindrances() == []


def test_server_recorded_without_its_tick_is_known_by_its_mark_after_the_clock_was_set(
    sleeper: Sleeper,
) -> None:
    sleeper.start()
    record = sleeper.record()
    del record["tick"]
    write_whole(sleeper.record_path, json.dumps(record | {"created": record["created"] - 3600}))

    process = sleeper.process()

    assert process is not None
    assert process.pid == record["pid"]
    assert sleeper.hindrances() == []


def test_server_of_another_data_folder_is_never_known_by_its_mark(
    sleeper: Sleeper, tmp_path: Path
) -> None:
    environment = os.environ | mark(tmp_path)
    with subprocess.Popen(["sleep", "600"], cwd=tmp_path, env=environment) as stranger:
        created = psutil.Process(stranger.pid).create_time() - 3600
        write_whole(sleeper.record_path, json.dumps({"pid": stranger.pid, "created": created}))

        assert sleeper.process() is None
        stranger.kill()


def test_process_whose_name_holds_blanks_and_brackets_is_recognised(tmp_path: Path) -> None:
    program = tmp_path / "a) (b 1"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "600"]) as started:
        process = psutil.Process(started.pid)
        seconds = process.create_time() - psutil.boot_time()
        ticks = round(seconds * os.sysconf("SC_CLK_TCK"))

        assert birth_of(process)["tick"].endswith(f"/{ticks}")
        started.kill()


@pytest.mark.parametrize("with_tick", [True, False], ids=["of today", "of an earlier version"])
def test_record_tells_a_process_from_an_older_one_of_its_number(with_tick: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        process = psutil.Process(started.pid)
        birth = birth_of(process)
        boot, tick = birth["tick"].split("/")
        older = {"created": birth["created"] - 5, "tick": f"{boot}/{int(tick) - 500}"}
        records = [birth, older, birth | {"tick": f"another/{tick}"}]
        if not with_tick:
            records = [{"created": each["created"]} for each in records[:2]]

        assert [is_born(process, each) for each in records] == [True, *[False] * len(records[1:])]
        started.kill()


def test_broken_record_counts_as_none(sleeper: Sleeper) -> None:
    write_whole(sleeper.record_path, '{"pid": 12')

    assert sleeper.process() is None
    assert not sleeper.crashed()


def test_long_log_is_moved_aside_at_the_next_start(sleeper: Sleeper) -> None:
    sleeper.log_path.parent.mkdir(parents=True)
    sleeper.log_path.write_bytes(b"x" * 5_000_001)

    sleeper.start()

    assert sleeper.log_path.stat().st_size < 1000
    assert sleeper.log_path.with_name("sleeper.log.1").stat().st_size == 5_000_001
