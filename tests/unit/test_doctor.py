"""`make doctor` without services: what is found on the machine and how it is reported."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from pymongo.errors import OperationFailure

from errors import SinkUnavailable
from operations.doctor.check import Check, Fault, Line, Look, Status, line_of, run_checks
from operations.doctor.doctor import checks_for, doctor, short_report, verdict
from operations.doctor.machine_checks import (
    clock_faults,
    folder_faults,
    key_faults,
    look_at_key,
)
from operations.doctor.place_checks import format_faults, look_at_output
from operations.doctor.version_checks import (
    SparkJars,
    look_at_python,
    matrix_faults,
    package_faults,
)
from runtime.versions import pinned_packages
from settings import Settings, load_settings
from spark_jobs.session.file_system import LocalFiles
from spark_jobs.sinks.files.manifest import Manifest
from spark_jobs.state.clock import Moment

NO_FILE = Path("no.env")


def texts(faults: Sequence[Fault]) -> list[str]:
    return [fault.text for fault in faults]


def ok(name: str) -> Look:
    return lambda settings: [line_of(name, [], "fine")]


def test_checks_run_side_by_side_and_are_reported_in_their_order() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def meets(name: str) -> Look:
        def look(settings: Settings) -> list[Line]:
            meeting.wait()
            return [line_of(name, [], "met")]

        return look

    lines = run_checks([Check(("a",), meets("a")), Check(("b",), meets("b"))], Settings())

    assert [(line.name, line.status) for line in lines] == [("a", "ok"), ("b", "ok")]


def test_hanging_check_is_abandoned_and_delays_no_other() -> None:
    release = threading.Event()

    def hangs(settings: Settings) -> list[Line]:
        release.wait(60)
        return []

    checks = [Check(("slow", "after"), hangs), Check(("quick",), ok("quick"))]

    lines = run_checks(checks, Settings(), seconds=0.3)
    release.set()

    assert [(line.name, line.status) for line in lines] == [
        ("slow", Status.FIX),
        ("after", Status.NOT_YET),
        ("quick", Status.OK),
    ]
    assert "no answer within 0.3 s" in lines[0].text


def test_failing_check_is_a_line_without_the_text_of_its_error() -> None:
    def fails(settings: Settings) -> list[Line]:
        raise KeyError("jane@example.com")

    def refused(settings: Settings) -> list[Line]:
        raise SinkUnavailable("Cannot reach it.\n Start it.")

    lines = run_checks([Check(("a",), fails), Check(("b",), refused)], Settings())

    assert [line.text for line in lines] == [
        "this check itself failed (KeyError): please report it",
        "Cannot reach it. Start it.",
    ]


def test_ordinary_refusal_of_a_store_is_explained_without_its_text() -> None:
    def forbidden(settings: Settings) -> list[Line]:
        raise OperationFailure("not authorized: jane@example.com", 13)

    (line,) = run_checks([Check(("a",), forbidden)], Settings(_env_file=None))

    assert line.text.startswith("MongoDB at `mongodb://127.0.0.1:27017` needs a login")
    assert "jane" not in line.text


def test_no_line_shows_a_secret_in_any_spelling() -> None:
    settings = Settings(
        _env_file=None,
        kafka_sasl_password=SecretStr("open sesame"),
        mongo_uri=SecretStr("mongodb://me:p%40ss-word@db.example"),
        postgres_dsn=SecretStr("postgresql://me:hush%2Fhush@db.example/x"),
    )
    secrets = "open sesame p%40ss-word p@ss-word hush%2Fhush hush/hush db.example"

    (line,) = run_checks([Check(("a",), lambda s: [line_of("a", [Fault(secrets)], "")])], settings)

    assert line.text == "••• ••• ••• ••• ••• db.example"


def test_verdict_counts_and_run_shows_only_what_it_does_not_fix_itself() -> None:
    fine = Line("python", Status.OK, "3.11")
    comes = Line("kafka", Status.FIX, "not up", by_itself=True)
    hidden = Line("topics", Status.NOT_YET, "not looked at")
    wrong = Line("tables", Status.FIX, "no column x")

    assert verdict([fine, fine]) == "doctor: 2 checks ok"
    assert verdict([fine, comes, hidden, wrong]) == "doctor: 2 of 4 checks need a fix"
    assert short_report([fine, fine]) == ["doctor: 2 checks ok"]
    assert short_report([fine, comes, hidden]) == [
        "doctor: 1 checks ok; 2 more concern what this run starts or creates"
    ]
    assert short_report([fine, comes, wrong]) == ["doctor: fix  tables       no column x"]


def test_faults_fix_themselves_only_if_all_of_them_do() -> None:
    comes, stays = Fault("absent", by_itself=True), Fault("differs")

    assert line_of("tables", [comes], "").by_itself
    assert not line_of("tables", [comes, stays], "").by_itself


def test_with_everything_down_doctor_says_how_to_start_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, output = tmp_path / "home", tmp_path / "output"
    settings = load_settings(
        {"millrace_home": home, "output_path": str(output), "sinks": "cassandra,files,postgres"},
        NO_FILE,
    )

    status = doctor(settings)

    printed = capsys.readouterr().out
    assert status == 1
    for service in ("kafka", "cassandra", "mongodb", "postgres"):
        assert f"fix  {service:<11}  not up at 127.0.0.1:" in printed
    assert "--   sql tables   not checked: PostgreSQL is away" in printed
    assert printed.count("`make up` starts it") == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({}, {"ports", "cassandra", "output"}, {"postgres", "spark", "source"}),
        ({"stack": "external"}, {"kafka", "mongodb"}, {"ports", "docker"}),
        ({"stack": "docker"}, {"docker", "kafka"}, {"ports"}),
        ({"sinks": "postgres"}, {"postgres", "sql tables"}, {"cassandra", "tables", "output"}),
        ({"spark_master": "spark://a:7077"}, {"spark"}, set()),
        ({"customers_source": "a.csv"}, {"source"}, set()),
    ],
)
def test_only_what_settings_call_for_is_checked(
    changes: dict[str, str], present: set[str], absent: set[str]
) -> None:
    names = {name for check in checks_for(load_settings(changes, NO_FILE)) for name in check.names}

    assert present <= names
    assert not absent & names


SPARK = SparkJars(Path("/spark"), "3.5.7", "2.12", "3.3.4")
GROUPS = {
    "spark": (
        "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.7",
        "com.datastax.spark:spark-cassandra-connector_2.12:3.5.1",
        "org.postgresql:postgresql:42.7.14",
    ),
    "s3": ("org.apache.hadoop:hadoop-aws:3.3.4",),
    "hdfs": ("org.apache.hadoop:hadoop-client-minicluster:3.3.4",),
    "cassandra": ("org.apache.cassandra:cassandra-all:5.0.9",),
}


def test_versions_that_fit_together_have_no_fault() -> None:
    assert list(matrix_faults(SPARK, "3.5.7", GROUPS)) == []


@pytest.mark.parametrize(
    ("group", "coordinate", "reason"),
    [
        ("spark", "org.apache.spark:a_2.13:3.5.7", "built for Scala 2.13, but Spark for 2.12"),
        ("spark", "org.apache.spark:a_2.12:3.5.6", "not of Spark 3.5.7"),
        (
            "spark",
            "com.datastax.spark:spark-cassandra-connector_2.12:3.4.1",
            "made for another Spark release line than 3.5",
        ),
        ("s3", "org.apache.hadoop:hadoop-aws:3.4.0", "not of Hadoop 3.3.4"),
        ("cassandra", "org.apache.cassandra:cassandra-all:4.1.7", "pin 5.0 or later"),
    ],
)
def test_coordinate_that_does_not_fit_is_named(group: str, coordinate: str, reason: str) -> None:
    (fault,) = matrix_faults(SPARK, "3.5.7", GROUPS | {group: (coordinate,)})

    assert coordinate in fault.text
    assert reason in fault.text


def test_other_spark_than_the_pinned_one_is_named() -> None:
    other = SparkJars(Path("/venv/pyspark"), "3.4.1", "2.12", "3.3.4")

    (fault,) = matrix_faults(other, "3.5.7", GROUPS)

    assert fault.text.startswith("Spark in /venv/pyspark is 3.4.1, pinned 3.5.7: remove `.venv`")


def test_package_of_another_version_or_missing_is_named() -> None:
    wanted = {"pymongo": "4.20.0", "orjson": "3.13.0", "rich": "15.0.0"}

    (fault,) = package_faults(wanted, {"pymongo": "4.19.0", "orjson": None, "rich": "15.0.0"})

    assert fault.text.startswith("pymongo 4.19.0, pinned 4.20.0; orjson is missing, pinned 3.13.0:")


@pytest.mark.parametrize(("stack", "missing"), [("embedded", True), ("external", False)])
def test_only_the_embedded_stack_needs_the_stand_in_for_mongodb(
    monkeypatch: pytest.MonkeyPatch, stack: str, missing: bool
) -> None:
    found = pinned_packages()
    monkeypatch.setattr("operations.doctor.version_checks.installed_version", found.get)

    (_, packages) = look_at_python(load_settings({"stack": stack}, NO_FILE))

    assert ("secantusdb is missing" in packages.text) == missing
    assert (packages.status is Status.FIX) == missing


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("made", "batch", "skew", "expected"),
    [
        pytest.param(NOW - HOUR, None, timedelta(seconds=59), [], id="right"),
        pytest.param(NOW + HOUR, None, timedelta(), ["before this checkout"], id="reset"),
        pytest.param(
            NOW - HOUR, Moment(NOW + HOUR), timedelta(), ["3600 s behind the last batch"], id="back"
        ),
        pytest.param(
            NOW - HOUR,
            Moment(NOW - 60 * HOUR, "boot", 100.0),
            timedelta(),
            ["moved 2 days more than the uptime", "--accept-clock"],
            id="ahead-of-the-uptime",
        ),
        pytest.param(
            NOW - HOUR, None, timedelta(seconds=95), ["95 s ahead of MongoDB's"], id="others-behind"
        ),
        pytest.param(NOW - HOUR, None, -5 * HOUR, ["5 hours behind MongoDB's"], id="others-ahead"),
    ],
)
def test_clock_that_cannot_be_right_is_reported(
    made: datetime, batch: Moment | None, skew: timedelta, expected: list[str]
) -> None:
    now = Moment(NOW, "boot", 100.0 + 3600)

    found = texts(list(clock_faults(now, made, [batch] if batch else [], skew, days=7)))

    assert len(found) == bool(expected)
    assert all(part in found[0] for part in expected)


def test_key_that_others_can_read_or_that_is_empty_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "pii_hash_key"
    path.write_text("key\n")
    path.chmod(0o600)
    assert list(key_faults(path)) == []

    path.chmod(0o640)
    (open_to_others,) = key_faults(path)
    path.chmod(0o600)
    path.write_text("\n")
    (empty,) = key_faults(path)

    assert f"`chmod 600 {path}`" in open_to_others.text
    assert "is empty" in empty.text


@pytest.mark.parametrize(
    ("changes", "status", "expected"),
    [
        ({}, "ok", "the first start makes one"),
        ({"pii_hash_mode": "sha256", "stack": "external"}, "ok", "none is needed"),
        ({"stack": "external"}, "fix", "`openssl rand -hex 32`"),
        ({"stack": "docker"}, "fix", "`make secrets` makes one"),
        ({"stack": "docker", "pii_hash_key": "x"}, "ok", "PII_HASH_KEY is set"),
    ],
)
def test_key_is_required_where_none_is_made(
    changes: dict[str, str], status: str, expected: str, tmp_path: Path
) -> None:
    (line,) = look_at_key(load_settings({"millrace_home": tmp_path, **changes}, NO_FILE))

    assert line.status == status
    assert expected in line.text


def test_folder_of_files_need_not_be_there_but_must_not_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    assert list(folder_faults(tmp_path / "a" / "b", "OUTPUT_PATH")) == []
    (fault,) = folder_faults(file / "b", "OUTPUT_PATH")
    assert fault.text == f"`{file}` is a file, not a folder: move it, or correct OUTPUT_PATH"


def test_folder_below_one_that_the_user_cannot_enter_cannot_be_written_to(
    locked_folder: Path,
) -> None:
    (fault,) = folder_faults(locked_folder / "a" / "b", "MILLRACE_HOME")

    assert fault.text == (
        f"`{locked_folder}` cannot be written to: `chmod` or `chown` it, or set MILLRACE_HOME"
    )
    output = str(locked_folder / "out")
    (line,) = look_at_output(load_settings({"output_path": output}, NO_FILE))
    assert line.text.startswith(f"`{locked_folder}` cannot be written to")


def test_files_in_another_format_than_the_setting_are_reported(tmp_path: Path) -> None:
    settings = load_settings({"output_path": str(tmp_path), "output_format": "csv"}, NO_FILE)
    Manifest("tickets", ("parquet", "json")).save(LocalFiles(tmp_path))

    (fault,) = format_faults(settings)

    assert fault.text == (
        f"files of tickets in `{tmp_path}` are parquet,json, OUTPUT_FORMAT is csv: set it to"
        " parquet,json, or set another OUTPUT_PATH"
    )


def test_disk_that_is_too_small_is_reported_with_the_space_needed(tmp_path: Path) -> None:
    (fault,) = folder_faults(tmp_path / "home", "MILLRACE_HOME", needed=10**18)

    assert "1000000000.0 GB needed" in fault.text
    assert "set MILLRACE_HOME to a larger disk" in fault.text
