"""Parts of the embedded stack that need no service: ports, records, jars, Java, texts of errors."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from errors import StackError
from local_stack import compose, shells
from local_stack.cassandra import Cassandra
from local_stack.kafka import Kafka, new_cluster_id
from local_stack.mongodb import MongoDB
from local_stack.ports import ensure_free, free_port_near, loopback_port
from local_stack.secret_files import make_secret_files
from local_stack.service import Service
from local_stack.stack import down, states, up
from operations import cli
from operations.doctor.machine_checks import look_at_docker
from operations.status import print_notes
from runtime import jars, java
from runtime.files import last_lines, write_whole
from runtime.versions import pinned
from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, SECRETS_VARIABLE, Settings, load_settings
from tests.conftest import free_ports


class Sleeper(Service):
    """A service whose process is a Python program of the test's choice; ready after `ready`."""

    name = "sleeper"
    port_setting = "SLEEPER_PORT"
    stop_timeout_seconds = 5
    program = "import time; time.sleep(600)"
    ready = True

    @property
    def port(self) -> int:
        return self.settings.cassandra_port

    @property
    def version(self) -> str:
        return "Sleeper 1"

    def prepare(self, ports: Mapping[str, int]) -> None:
        write_whole(self.data_path / "data", "")

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.program]

    def is_ready(self) -> bool:
        return self.ready


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (port,) = free_ports(1)
    return load_settings(
        {"millrace_home": tmp_path / "home", "cassandra_port": port}, tmp_path / "no.env"
    )


@pytest.fixture
def sleeper(settings: Settings) -> Iterator[Sleeper]:
    service = Sleeper(settings)
    yield service
    service.stop()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def test_taken_port_is_named_with_its_holder_and_its_setting(listener: socket.socket) -> None:
    port = listener.getsockname()[1]

    with pytest.raises(StackError) as caught:
        ensure_free("kafka", port, "KAFKA_BOOTSTRAP_SERVERS")

    assert f"127.0.0.1:{port}: process {os.getpid()} (" in str(caught.value)
    assert "set KAFKA_BOOTSTRAP_SERVERS to another port" in str(caught.value)


def test_taken_ports_are_all_named_before_anything_is_fetched(
    listener: socket.socket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.stack.find_java", lambda *_: pytest.fail("looked for Java"))
    taken, (free,) = listener.getsockname()[1], free_ports(1)
    own = settings.model_copy(
        update={
            "kafka_bootstrap_servers": f"127.0.0.1:{free}",
            "kafka_controller_port": taken,
            "cassandra_port": taken,
        }
    )

    with pytest.raises(StackError) as caught:
        up(own, lambda line: None)

    told = str(caught.value)
    for service, setting in (("kafka", "KAFKA_CONTROLLER_PORT"), ("cassandra", "CASSANDRA_PORT")):
        assert f"{taken} of {service} is taken by process {os.getpid()} (" in told
        assert f"set {setting} to another port" in told
    assert told.endswith("Nothing was started.")


@pytest.mark.parametrize("given", [None, 25_002])
def test_second_port_is_the_one_that_is_set_and_none_that_a_setting_gives_away(
    given: int | None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.ports.is_free", lambda port: True)
    # Ten thousand beyond Kafka's, where its second port would be.
    own = settings.model_copy(
        update={"cassandra_port": 19092, "kafka_controller_port": given, "sinks": ("files",)}
    )

    chosen = Kafka(own)._choose_inner_ports()  # noqa: SLF001 - what `start` asks for

    assert chosen["controller"] == given if given else chosen["controller"] not in {9092, 19092}


@pytest.mark.parametrize("deleted", [".", "data", "data/sleeper"])
def test_server_whose_files_were_deleted_is_known_and_ended(
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


def test_inner_port_follows_the_clients_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_stack.ports.is_free", lambda port: True)

    assert free_port_near(9092, None, {9092}) == 19092
    assert free_port_near(60000, None, {60000}) == 50000
    assert free_port_near(9092, 25000, {9092}) == 25000


def test_inner_port_avoids_what_is_taken(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]

    port = free_port_near(taken - 10_000, taken, {taken - 10_000})

    assert port != taken
    ensure_free("kafka", port, "KAFKA_BOOTSTRAP_SERVERS")


@pytest.mark.parametrize("server", ["broker.example:9092", "127.0.0.1:9092,127.0.0.1:9093", "x"])
def test_server_elsewhere_is_refused_by_the_embedded_stack(server: str) -> None:
    with pytest.raises(StackError, match="STACK=external"):
        loopback_port(server, "KAFKA_BOOTSTRAP_SERVERS")


def test_port_of_mongodb_comes_from_its_address(settings: Settings) -> None:
    moved = load_settings({"mongo_uri": "mongodb://localhost:27999/?retryWrites=false"})

    assert MongoDB(settings).port == 27017
    assert MongoDB(moved).port == 27999


def test_stack_without_mongod_and_stand_in_says_what_to_install_and_starts_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.mongodb.shutil.which", lambda name: None)
    monkeypatch.setattr("local_stack.mongodb.installed_version", lambda name: None)
    monkeypatch.setattr("local_stack.mongodb.sys.executable", str(tmp_path / "python"))

    assert MongoDB(settings).state().version == "SecantusDB not installed (stand-in for mongod)"
    with pytest.raises(StackError, match=r"pip install -e '\.\[embedded\]'"):
        up(settings)
    assert not settings.jars.exists()
    assert [each.name for each in settings.millrace_home.iterdir()] == ["run"]


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


def test_status_tells_of_a_dead_service_with_the_end_of_its_log(
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


def test_status_has_no_notes_on_a_service_that_is_well(
    sleeper: Sleeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeper.start()

    print_notes([sleeper.state()])

    assert capsys.readouterr().out == ""


def test_reused_process_id_is_never_stopped(sleeper: Sleeper) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        created = psutil.Process(stranger.pid).create_time() - 3600
        write_whole(sleeper.record_path, json.dumps({"pid": stranger.pid, "created": created}))

        assert sleeper.process() is None
        assert not sleeper.stop()

        assert stranger.poll() is None
        stranger.kill()


def test_broken_record_counts_as_none(sleeper: Sleeper) -> None:
    write_whole(sleeper.record_path, '{"pid": 12')

    assert sleeper.process() is None
    assert not sleeper.crashed()


def test_long_log_is_put_aside_at_the_next_start(sleeper: Sleeper) -> None:
    sleeper.log_path.parent.mkdir(parents=True)
    sleeper.log_path.write_bytes(b"x" * 5_000_001)

    sleeper.start()

    assert sleeper.log_path.stat().st_size < 1000
    assert sleeper.log_path.with_name("sleeper.log.1").stat().st_size == 5_000_001


def test_last_lines_of_a_large_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)))

    assert last_lines(path, 2) == ["line 99998", "line 99999"]
    assert last_lines(tmp_path / "none.log", 2) == []


def test_secret_file_is_never_readable_by_others(tmp_path: Path) -> None:
    write_whole(tmp_path / "key", "secret", 0o600)

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_services_elsewhere_are_those_that_sinks_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in (Kafka, Cassandra, MongoDB):
        monkeypatch.setattr(service, "is_ready", lambda self: True)
    every = Settings(_env_file=None, stack="external", sinks="cassandra,mongodb,files")
    without = Settings(_env_file=None, stack="external", sinks="mongodb,files")

    assert [state.name for state in states(every)] == ["kafka", "cassandra", "mongodb"]
    assert [state.name for state in states(without)] == ["kafka", "mongodb"]


def test_external_stack_is_neither_started_nor_stopped(tmp_path: Path) -> None:
    settings = load_settings({"stack": "external", "millrace_home": tmp_path / "home"})
    lines: list[str] = []

    up(settings, lines.append)
    down(settings, lines.append)

    assert lines == ["STACK=external: Millrace neither starts nor stops these services"] * 2
    assert not (tmp_path / "home").exists()


def fake_docker(folder: Path, *working: str) -> Path:
    """A `docker` in a folder of its own, whose commands fail except those that begin so.

    What it is given and the ports that it is told go to a file beside it.
    """
    folder.mkdir()
    cases = "".join(f'  "{beginning}"*) exit 0 ;;\n' for beginning in working)
    docker = folder / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$* $KAFKA_PORT $POSTGRES_PORT" >> "{folder}/calls"\n'
        f'case "$*" in\n{cases}  *) exit 1 ;;\nesac\n'
    )
    docker.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("working", "reason"),
    [
        pytest.param(None, "there is no `docker` command on PATH", id="nothing"),
        pytest.param([], "the Compose plug-in, v2) is not installed", id="client"),
        pytest.param(["compose version"], "no Docker engine answers", id="client-and-compose"),
    ],
)
@pytest.mark.parametrize("command", ["up", "down"])
def test_missing_docker_is_reported_with_the_choices_and_exit_code_2(
    command: str,
    working: list[str] | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = "" if working is None else str(fake_docker(tmp_path / "bin", *working))
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("STACK", "docker")
    monkeypatch.setenv(ENV_FILE_VARIABLE, str(tmp_path / "no.env"))

    code = cli.main([command])

    told = capsys.readouterr()
    assert code == 2
    assert told.out == ""
    assert reason in told.err
    for choice in ("install or start Docker", "STACK=embedded: ", "STACK=external: "):
        assert f"  - {choice}" in told.err
    (line,) = look_at_docker(load_settings())
    assert line.status == "fix"
    assert reason in line.text


def test_docker_starts_the_services_that_settings_ask_for_and_stops_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_docker(tmp_path / "bin", "compose", "info")
    monkeypatch.setenv("PATH", str(folder))
    plain = load_settings({"stack": "docker", "kafka_bootstrap_servers": "127.0.0.1:19092"})
    with_postgres = plain.model_copy(update={"sinks": ("mongodb", "postgres")})

    for settings in (plain, with_postgres):
        up(settings, lambda line: None)
    down(plain, lambda line: None)

    file = PROJECT_ROOT / "docker" / "compose.yaml"
    calls = (folder / "calls").read_text().splitlines()
    assert [call.removeprefix(f"compose -f {file} ") for call in calls if str(file) in call] == [
        "up --detach --wait kafka console cassandra mongodb 19092 ",
        "up --detach --wait kafka console cassandra mongodb postgres 19092 5432",
        "--profile * down 19092 ",
    ]


def test_containers_that_do_not_become_healthy_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(fake_docker(tmp_path / "bin", "compose version", "info")))

    with pytest.raises(StackError, match="`docker compose` ended with 1") as caught:
        up(load_settings({"stack": "docker"}), lambda line: None)
    assert caught.value.exit_code == 1


def test_compose_publishes_the_ports_of_the_settings() -> None:
    settings = load_settings(
        {
            "kafka_bootstrap_servers": "localhost:19092",
            "cassandra_port": 19042,
            "mongo_uri": "mongodb://localhost:28017",
        }
    )

    assert compose.compose_variables(settings) == {
        "KAFKA_PORT": "19092",
        "CASSANDRA_PORT": "19042",
        "MONGO_PORT": "28017",
        "SECRETS_FOLDER": str(settings.millrace_home / "secrets"),
    }


def test_secret_files_are_made_once_and_hold_what_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        {
            "millrace_home": tmp_path,
            "pii_hash_key": "my own key",
            "postgres_dsn": "postgresql://me@127.0.0.1:15432/mine",
        }
    )
    lines: list[str] = []

    make_secret_files(settings, lines.append)
    folder = tmp_path / "secrets"
    first = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    make_secret_files(settings, lines.append)

    assert first[folder / "pii_hash_key"] == "my own key\n"
    assert {path: path.read_text() for path in first} == first
    told = "\n".join(lines)
    assert (told.count(": made"), told.count(": is there already")) == (5, 5)
    assert not [text for text in first.values() if text.strip() in told]
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))
    here = load_settings(env_file=tmp_path / "no.env")
    assert here.postgres_address == "127.0.0.1:15432/millrace"


def test_unknown_pin_names_the_file() -> None:
    with pytest.raises(StackError, match=r"pyproject\.toml pins no `nope`"):
        pinned("jars", "nope")


def test_jars_lie_where_the_setting_says(tmp_path: Path) -> None:
    prepared = load_settings({"jars_path": tmp_path / "prepared", "millrace_home": tmp_path})
    usual = load_settings({"millrace_home": tmp_path})

    assert jars.folder(prepared, "spark") == tmp_path / "prepared" / "spark"
    assert jars.folder(usual, "spark") == tmp_path / "jars" / "spark"


def test_prepared_jars_of_another_version_that_cannot_be_replaced_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Root may write everywhere, but not below a file.
    (tmp_path / "file").touch()
    monkeypatch.setenv("JARS_PATH", str(tmp_path / "file" / "jars"))
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "17", "").home))
    monkeypatch.setenv(ENV_FILE_VARIABLE, str(tmp_path / "no.env"))

    code = jars.main(["spark"])

    assert code == 1
    assert "does not hold the jars that pyproject.toml pins" in capsys.readouterr().err


def test_jars_of_s3_leave_out_what_spark_has_and_stores_that_are_not_used(
    tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(StackError):
        jars.ensure_jars(settings, ["s3"], lambda line: None, fake_java(tmp_path, "17", "exit 1"))

    asked = (settings.jars / ".s3.partial" / "ivy.xml").read_text()
    assert '<exclude org="org.apache.hadoop" module="hadoop-client-api"/>' in asked
    assert asked.count("<exclude ") == 6


def test_half_fetched_jars_do_not_count(settings: Settings) -> None:
    folder = jars.folder(settings, "kafka")
    folder.mkdir(parents=True)
    coordinates = " ".join(pinned("jars", "kafka"))
    (folder / "a.jar").touch()
    assert not jars.is_complete(settings, "kafka")

    (folder / jars.STAMP_NAME).write_text(f"{coordinates}\na.jar\nb.jar\n")
    assert not jars.is_complete(settings, "kafka")

    (folder / "b.jar").touch()
    assert jars.is_complete(settings, "kafka")


def test_jars_of_another_version_do_not_count(settings: Settings) -> None:
    folder = jars.folder(settings, "kafka")
    folder.mkdir(parents=True)
    (folder / jars.STAMP_NAME).write_text("org.apache.kafka:kafka_2.13:1.0.0\n")

    assert not jars.is_complete(settings, "kafka")


def test_failure_of_ivy_is_reported_with_its_lines(settings: Settings, tmp_path: Path) -> None:
    fake = fake_java(tmp_path, "17", "echo '[NOT FOUND] no route to host'; exit 1")

    with pytest.raises(StackError) as caught:
        jars.ensure_jars(settings, ["kafka"], lambda line: None, fake)

    assert "jars of `kafka` could not be fetched" in str(caught.value)
    assert "no route to host" in str(caught.value)
    assert not jars.is_complete(settings, "kafka")


def test_cluster_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """0xf8 is the first byte of an id that begins with a dash: `-AAA…`."""
    drawn = iter([UUID(bytes=b"\xf8" + bytes(15)), UUID(bytes=b"\x04" + bytes(15))])
    monkeypatch.setattr("local_stack.kafka.uuid.uuid4", lambda: next(drawn))

    assert new_cluster_id() == "BA" + 20 * "A"


def test_data_folder_that_kafka_cannot_prepare_is_named(settings: Settings, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    own = settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{port}"})
    service = Kafka(own, fake_java(tmp_path, "17", "echo Invalid cluster.id; exit 1"))

    with pytest.raises(StackError) as caught:
        service.start()

    assert "Invalid cluster.id" in str(caught.value)
    assert f"remove the folder `{settings.millrace_home}/data/kafka`" in str(caught.value)
    assert "make reset" not in str(caught.value)


def test_cqlsh_of_an_older_installation_is_installed_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.millrace_home / "tools" / "cqlsh"
    (folder / "venv").mkdir(parents=True)
    (folder / "installed.txt").write_text(f"{pinned('python', 'cqlsh')[0]} {folder}\n")
    installed: list[Path | None] = []
    monkeypatch.setattr(shells, "install_wheel", lambda _, target: installed.append(target))
    monkeypatch.setattr(shells, "_run", lambda *_: 0)

    assert shells.run_cqlsh(settings, None, lambda _: None) == 0
    assert shells.run_cqlsh(settings, None, lambda _: None) == 0

    assert installed == [folder / "packages"]
    assert not (folder / "venv").exists()


def test_java_17_of_java_home_comes_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_java(tmp_path, "17", "exit 0")
    monkeypatch.setenv("JAVA_HOME", str(fake.home))

    found = java.find_java(settings)

    assert found.executable == fake.executable
    assert java.java_environment(found) == {"JAVA_HOME": str(fake.home)}


def test_wrong_java_is_said_and_passed_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake_java(tmp_path / "old", "1.8", "exit 0")
    right = fake_java(tmp_path / "right", "17", "exit 0")
    monkeypatch.setenv("JAVA_HOME", str(old.home))
    monkeypatch.setenv("PATH", f"{right.executable.parent}:/usr/bin:/bin")
    lines: list[str] = []

    found = java.find_java(settings, lines.append)

    assert found.executable == right.executable
    assert len(lines) == 1
    assert "is Java 8; Millrace needs 17" in lines[0]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://h:1", "mongodb://h:1/millrace"),
        ("mongodb://h:1/", "mongodb://h:1/millrace"),
        ("mongodb://h:1/other?w=1", "mongodb://h:1/millrace?w=1"),
        ("mongodb://h:1?w=1", "mongodb://h:1/millrace?w=1"),
    ],
)
def test_shell_opens_the_database_of_the_settings(uri: str, expected: str) -> None:
    assert shells.with_database(uri, "millrace") == expected


def fake_java(folder: Path, version: str, other: str) -> java.Java:
    """A `java` that tells its version and does `other` when asked for anything else."""
    executable = folder / "jdk" / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -XshowSettings:properties ]; then\n'
        f"  echo '    java.home = {folder}/jdk' >&2\n"
        f"  echo '    java.specification.version = {version}' >&2\n"
        "  exit 0\nfi\n"
        f"{other}\n"
    )
    executable.chmod(0o755)
    return java.Java(folder / "jdk", executable, 17)


def wait_for_line(path: Path, line: str) -> None:
    deadline = time.monotonic() + 10
    while line not in last_lines(path, 5):
        assert time.monotonic() < deadline, f"`{line}` never came"
        time.sleep(0.05)
