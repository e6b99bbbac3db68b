"""What a process inherits: what is taken from it, and what servers, Java and drivers get of it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from errors import SettingsError
from local_stack.cassandra import Cassandra
from local_stack.hdfs import HdfsDataNode
from local_stack.kafka import Kafka
from operations.doctor import surrounding_checks
from operations.doctor.check import Status
from operations.doctor.surrounding_checks import look_at_environment, look_at_limits
from runtime import surroundings
from runtime.java import JAVA_LOCALE, Java
from runtime.surroundings import driver_environment, for_java, service_environment
from settings import PROJECT_ROOT, Settings, load_settings
from spark_jobs.session.foreign_conf import EXECUTOR_OPTIONS, chosen_by_caller, foreign_keys
from spark_jobs.session.session import launch_conf, session_conf
from spark_jobs.state.checkpoint import Checkpoint

NO_FILE = Path("no.env")
TURKISH = "-Duser.language=tr -Duser.country=TR"
INHERITED = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "tr_TR.UTF-8",
    "JAVA_TOOL_OPTIONS": f"{TURKISH} -Dhttps.proxyHost=proxy",
    "_JAVA_OPTIONS": "-Dfile.encoding=ISO-8859-9",
    "SPARK_HOME": "/absent",
    "SPARK_CONF_DIR": "/etc/spark",
    "SPARK_LOCAL_DIRS": "/absent",
    "SPARK_LOCAL_IP": "10.0.0.7",
    "SPARK_MASTER": "yarn",
    "PYSPARK_SUBMIT_ARGS": "--master spark://localhost:7077 pyspark-shell",
    "PYSPARK_PYTHON": "/usr/bin/python3.12",
    "MASTER": "yarn",
    "CLASSPATH": "/absent",
    "CASSANDRA_PASSWORD": "hush",
}
SPARK = Path("/venv/pyspark")
HARD_NAME = "Mes Documents é C# 50% off a,b;c [1] {d} \"e\" 'f' \\g $h &"


def shadow(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit('another module')\n")
    return folder


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("operations.cli", "settings.py"),
        ("operations.cli", "csv.py"),
        ("spark_jobs.tickets", "pyspark/__init__.py"),
        ("producers.tickets", "pydantic.py"),
    ],
)
def test_commands_pass_over_other_modules_of_pythonpath(
    module: str, other: str, tmp_path: Path
) -> None:
    own = {"PYTHONPATH": str(shadow(tmp_path, other))}

    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=PROJECT_ROOT, env=os.environ | own, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


def test_folders_of_pythonpath_that_hide_nothing_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(shadow(tmp_path / "other", "py4j/__init__.py", "settings.py"))
    harmless = str(shadow(tmp_path / "harmless", "my_own_library.py", "sql/notes.txt"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([other, harmless, str(PROJECT_ROOT)]))
    monkeypatch.setattr(sys, "path", [str(PROJECT_ROOT), other, harmless, *sys.path])
    monkeypatch.setattr(surroundings, "SHADOWS", {})

    surroundings.drop_shadows()

    assert surroundings.SHADOWS == {other: ["py4j", "settings"]}
    assert os.environ["PYTHONPATH"] == os.pathsep.join([harmless, str(PROJECT_ROOT)])
    assert other not in sys.path
    assert harmless in sys.path


def test_path_that_spark_submit_makes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(shadow(tmp_path, "pyspark/__init__.py"))
    monkeypatch.setenv("PYTHONPATH", other)
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")

    surroundings.drop_shadows()

    assert os.environ["PYTHONPATH"] == other


def test_servers_get_a_locale_of_their_own_and_no_secret() -> None:
    assert service_environment(INHERITED) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "JAVA_TOOL_OPTIONS": f"{TURKISH} -Dhttps.proxyHost=proxy",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
    }


def test_options_for_every_java_hold_below_those_of_the_command_line() -> None:
    found = for_java(INHERITED)

    assert found["JAVA_TOOL_OPTIONS"] == (
        f"{TURKISH} -Dhttps.proxyHost=proxy -Dfile.encoding=ISO-8859-9"
    )
    assert "_JAVA_OPTIONS" not in found
    assert found["LC_ALL"] == "C.UTF-8"
    assert "JAVA_TOOL_OPTIONS" not in for_java({"PATH": "/bin"})


def test_driver_on_this_machine_has_nothing_that_leads_spark_elsewhere() -> None:
    found = driver_environment(INHERITED, SPARK, "local[*]", ["SPARK_MASTER"])

    of_spark = {name: value for name, value in found.items() if "SPARK" in name}
    assert of_spark == {
        "SPARK_HOME": "/venv/pyspark",
        "SPARK_CONF_DIR": "/venv/pyspark/no-conf",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LAUNCHER_OPTS": " ".join(JAVA_LOCALE),
        "SPARK_MASTER": "yarn",
        "PYSPARK_PYTHON": sys.executable,
    }
    assert not {"MASTER", "CLASSPATH"} & {*found}


@pytest.mark.parametrize(
    ("given", "conf"),
    [
        ({}, "/etc/spark"),
        ({"SPARK_CONF_DIR": ""}, "/absent/conf"),
        ({"SPARK_CONF_DIR": "", "SPARK_HOME": ""}, "/venv/pyspark/no-conf"),
    ],
)
def test_driver_of_a_cluster_keeps_what_leads_there(given: dict[str, str], conf: str) -> None:
    found = driver_environment(INHERITED | given, SPARK, "spark://host:7077")

    assert found["SPARK_CONF_DIR"] == conf
    assert found["SPARK_HOME"] == "/venv/pyspark"
    assert found["SPARK_LOCAL_IP"] == "10.0.0.7"
    assert found["PYSPARK_PYTHON"] == "/usr/bin/python3.12"
    assert not {"PYSPARK_SUBMIT_ARGS", "SPARK_LOCAL_DIRS", "SPARK_MASTER"} & {*found}


def test_servers_and_drivers_speak_english_on_their_command_lines(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, millrace_home=tmp_path)
    java = Java(tmp_path, tmp_path / "java", 17)

    for service in (Kafka(settings, java), Cassandra(settings, java)):
        assert [each for each in service.command() if each in JAVA_LOCALE] == [*JAVA_LOCALE]
    conf = launch_conf(settings, tmp_path / "log") | session_conf(settings, "x", "local[2]")
    for key in ("spark.driver.extraJavaOptions", EXECUTOR_OPTIONS):
        assert all(option in conf[key] for option in JAVA_LOCALE)


def test_what_a_file_of_defaults_says_of_results_is_taken_back() -> None:
    given = {
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.legacy.timeParserPolicy": "LEGACY",
        "spark.sql.of.a.later.version": "true",
        "spark.hadoop.mapreduce.output.basename": "other",
        "spark.cassandra.output.ttl": "1",
        "spark.cassandra.input.split.sizeInMB": "512",
        "spark.authenticate": "true",
        "spark.executor.memory": "4g",
        "spark.yarn.queue": "mine",
        "spark.hadoop.fs.s3a.endpoint": "http://s3.example",
    }
    own = {"spark.sql.session.timeZone": "UTC", "spark.cassandra.input.split.sizeInMB": "64"}

    assert foreign_keys(given, own) == {
        "spark.sql.ansi.enabled",
        "spark.sql.legacy.timeParserPolicy",
        "spark.sql.of.a.later.version",
        "spark.hadoop.mapreduce.output.basename",
        "spark.cassandra.output.ttl",
    }
    assert chosen_by_caller(given, own) == {"spark.cassandra.input.split.sizeInMB": "512"}


def test_language_of_executors_is_not_the_callers_to_choose(tmp_path: Path) -> None:
    own = session_conf(Settings(_env_file=None, millrace_home=tmp_path), "x", "spark://h:7077")

    found = chosen_by_caller({EXECUTOR_OPTIONS: f"-XX:+UseZGC {TURKISH}"}, own)[EXECUTOR_OPTIONS]

    assert found.startswith(f"-XX:+UseZGC {TURKISH} ")
    assert found.endswith(" ".join(JAVA_LOCALE))


@pytest.mark.parametrize(("master", "local"), [("local[2]", True), ("spark://h:7077", True),
                                               ("yarn", False)])  # fmt: skip
def test_paths_without_a_scheme_are_of_this_machine(
    master: str, local: bool, tmp_path: Path
) -> None:
    conf = session_conf(Settings(_env_file=None, millrace_home=tmp_path), "x", master)

    assert (conf.get("spark.hadoop.fs.defaultFS") == "file:///") is local
    assert conf["spark.sql.warehouse.dir"] == f"file://{tmp_path}/spark/warehouse"
    assert Checkpoint(tmp_path / "a b").url == f"file://{tmp_path}/a b"
    assert Checkpoint("hdfs://name:8020/a").url == "hdfs://name:8020/a"


@pytest.mark.parametrize(
    ("setting", "path", "told"),
    [
        ("MILLRACE_HOME", "/data/a,b", "'/data/a,b' holds a comma, at which Spark"),
        ("MILLRACE_HOME", "/data/a:b", "holds a colon, at which Java"),
        ("JARS_PATH", "/data/a:b", "holds a colon, at which Java"),
        ("OUTPUT_PATH", "/data/${user.home}", "holds `${`, which Hadoop takes for a variable"),
        ("CHECKPOINT_PATH", "/data/${a}", "holds `${`"),
        ("OUTPUT_PATH", "/data/a\nb", "holds a control character (U+000A)"),
        ("MILLRACE_HOME", "/data/a\tb", "holds a control character (U+0009)"),
        ("OUTPUT_PATH", "/data/\udce9", "holds bytes that are not UTF-8"),
    ],
)
def test_character_that_cannot_be_handed_on_is_named_at_once(
    setting: str, path: str, told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({setting.lower(): path}, NO_FILE)

    assert f"{setting}: " in str(caught.value)
    assert told in str(caught.value)


def test_quote_is_named_where_hdfs_would_be_below_it() -> None:
    quoted = {"millrace_home": Path("/data/it's")}

    with pytest.raises(SettingsError, match="holds `'`, with which HDFS"):
        load_settings(quoted | {"services": "+hdfs"}, NO_FILE)
    assert load_settings(quoted, NO_FILE).millrace_home == Path("/data/it's")


def test_every_other_character_of_a_path_is_taken(tmp_path: Path) -> None:
    folder = str(tmp_path / HARD_NAME)

    settings = load_settings(
        {"output_path": folder, "checkpoint_path": folder, "jars_path": Path(folder),
         "millrace_home": Path(folder.replace(",", ""))},
        NO_FILE,
    )  # fmt: skip

    assert settings.output_path == settings.checkpoints == folder


def test_brokers_configuration_holds_no_path_that_it_could_take_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kafka, "_format", lambda self: None)
    kafka = Kafka(Settings(_env_file=None, millrace_home=tmp_path / "a b é#%"))

    kafka.prepare({"client": 1, "controller": 2})

    assert "log.dirs=log\n" in (kafka.data_path / "server.properties").read_text()


@pytest.mark.parametrize(
    ("folder", "place"),
    [("plain", "file://{}/plain/data/hdfs-datanode/blocks"),
     ("50% off", "file:///proc/self/cwd/blocks")],
)  # fmt: skip
def test_hdfs_is_told_of_no_character_that_it_takes_for_its_own(
    folder: str, place: str, tmp_path: Path
) -> None:
    node = HdfsDataNode(Settings(_env_file=None, millrace_home=tmp_path / folder))

    node.prepare({"client": 1, "ipc": 2, "web": 3})

    site = (node.data_path / "hdfs-site.xml").read_text(encoding="utf-8")
    assert f"<value>{place.format(tmp_path)}</value>" in site


def test_cassandras_configuration_has_paths_as_they_are(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    home = tmp_path / HARD_NAME.replace(",", "")
    cassandra = Cassandra(Settings(_env_file=None, millrace_home=home))

    cassandra.prepare({"client": 1, "storage": 2})

    text = (cassandra.data_path / "cassandra.yaml").read_text(encoding="utf-8")
    data = str(home / "data" / "cassandra")
    assert yaml.safe_load(text)["data_file_directories"] == [f"{data}/data"]
    assert yaml.safe_load(text)["hints_directory"] == f"{data}/hints"
    options = (cassandra.data_path / "java.options").read_text(encoding="utf-8")
    assert f'"-Dcassandra.config={(cassandra.data_path / "cassandra.yaml").as_uri()}"' in options


def low_limit(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> list[tuple[int, int]]:
    changed: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: changed.append(limits))
    return changed


@pytest.mark.parametrize(
    ("soft", "hard", "changed"),
    [
        (256, 4096, [(4096, 4096)]),
        (256, 1 << 30, [(65_536, 1 << 30)]),
        (256, resource.RLIM_INFINITY, [(65_536, resource.RLIM_INFINITY)]),
        (70_000, 1 << 30, []),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, []),
    ],
)
def test_soft_limit_of_open_files_is_raised_as_far_as_it_may(
    soft: int, hard: int, changed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = low_limit(monkeypatch, soft, hard)

    surroundings.raise_open_files()

    assert found == changed


def test_hard_limit_that_is_too_low_is_named_before_anything_starts(tmp_path: Path) -> None:
    program = "ulimit -n 256; exec {} -m operations.cli {}"
    own = {"MILLRACE_HOME": str(tmp_path / "home"), "MILLRACE_ENV_FILE": str(tmp_path / "no.env")}

    done = subprocess.run(
        ["sh", "-c", program.format(sys.executable, "up")],
        cwd=PROJECT_ROOT, env=os.environ | own, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "the limit of open files is 256 (`ulimit -n`)" in done.stderr
    assert not (tmp_path / "home" / "data").exists()


def test_doctor_names_what_is_inherited_and_what_becomes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.sql.ansi.enabled=true\nspark.ui.port 1\n")
    (tmp_path / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name>"
        "<value>hdfs://name:8020</value></property></configuration>"
    )
    for name in [*os.environ]:
        if name.startswith(("SPARK_", "PYSPARK_", "JAVA_TOOL", "LC_", "LANG", "JDK_JAVA")):
            monkeypatch.delenv(name)
    for name, value in {
        "SPARK_HOME": "/absent",
        "SPARK_CONF_DIR": str(tmp_path),
        "PYSPARK_SUBMIT_ARGS": "--conf spark.authenticate.secret=hush pyspark-shell",
        "HADOOP_CONF_DIR": str(tmp_path),
        "LC_ALL": "tr_TR.UTF-8",
        "JAVA_TOOL_OPTIONS": "-Dno.such=hush",
    }.items():
        monkeypatch.setenv(name, value)
    java = Java(Path("/"), Path("/bin/true"), 17)
    monkeypatch.setattr(surrounding_checks, "installed_java", lambda report: java)
    monkeypatch.setitem(surroundings.SHADOWS, "/opt/other", ["pyspark", "settings"])

    lines = look_at_environment(Settings(_env_file=None))

    told = "\n".join(map(str, lines))
    assert "hush" not in told
    assert {line.status for line in lines} == {Status.OK}
    for part in (
        "PYTHONPATH: `/opt/other` is ignored, as it has another pyspark, settings",
        "PYSPARK_SUBMIT_ARGS, SPARK_CONF_DIR, SPARK_HOME: only spark-submit uses them",
        "SPARK_HOME is `/absent`, which is not Spark 3.5",
        "spark-defaults.conf` sets spark.sql.ansi.enabled: drivers on this",
        "JAVA_TOOL_OPTIONS: applies to every Java process",
        "LC_ALL=tr_TR.UTF-8: services and Spark run in C.UTF-8",
        "HADOOP_CONF_DIR: fs.defaultFS is hdfs://name:8020",
    ):
        assert part in told


def test_doctor_asks_for_a_fix_where_no_java_would_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption=1")
    # As a Java that refuses an option.
    java = Java(Path("/"), Path("/bin/false"), 17)
    monkeypatch.setattr(surrounding_checks, "installed_java", lambda report: java)

    (line,) = [each for each in look_at_environment(Settings(_env_file=None))
               if each.status is Status.FIX]  # fmt: skip

    assert "Java does not start with JAVA_TOOL_OPTIONS" in line.text


def test_doctor_names_a_low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    low_limit(monkeypatch, 256, 256)

    (line,) = look_at_limits(Settings(_env_file=None))

    assert line.status is Status.FIX
    assert "256 (`ulimit -n`)" in line.text
