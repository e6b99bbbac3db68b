"""docker/compose.yaml: valid by the specification, with names that settings and code know.

No Docker engine takes part: the files are read, validated and linted; what the containers run is
run by tests/integration/test_image.py.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pyspark
import pytest
import yaml

from keys import load_pii_hash_key
from local_stack import compose as docker_stack
from local_stack.kafka import SERVER_PROPERTIES
from operations import commands
from operations.options import build_parser
from settings import PROJECT_ROOT, SECRETS_VARIABLE, Settings, load_settings
from tests.support.container_settings import PORTS, SERVICES, SETTINGS, Loaded
from tests.support.containers import (
    COMPOSE_FILE,
    VARIABLE,
    compose,
    compose_text,
    image_environment,
    own_services,
)

# Variables that are no settings of ours: Java's, Python's and Spark's own.
FOREIGN = {
    "JAVA_HOME", "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYSPARK_PYTHON",
    "SPARK_HOME", "SPARK_DAEMON_MEMORY", "SPARK_MASTER_OPTS", "SPARK_WORKER_OPTS",
    "SPARK_LOCAL_DIRS", SECRETS_VARIABLE,
}  # fmt: skip
ONE_SHOT = {"prepare", "producer-tickets", "producer-profiles", "producer-customers"}
JOBS = {name: service for name, service in SERVICES.items() if name.startswith("job-")}


def megabytes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1].lower()]


def schema_says(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_compose_file_keeps_to_the_specification(tmp_path: Path) -> None:
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE_FILE.read_text().replace("mem_limit: 256m", "memory_limit: 256m"))

    assert schema_says(COMPOSE_FILE).returncode == 0
    assert "memory_limit" in schema_says(broken).stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]

    assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"])
    assert megabytes(service["mem_limit"]) >= 256
    assert name in ONE_SHOT or service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    # A restart of the engine starts only `unless-stopped` again; one ends by itself.
    ends = {"prepare": None, "producer-customers": "on-failure"}
    assert service.get("restart") == ends.get(name, "unless-stopped")


def test_every_port_is_published_on_loopback_under_a_variable_of_its_own() -> None:
    published = re.findall(r'^ +- "(.+:\d+)"$', compose_text(), re.MULTILINE)
    variables = [VARIABLE.search(port) for port in published]

    assert all(port.startswith("127.0.0.1:${") for port in published)
    assert {found[1] for found in variables if found} == PORTS
    defaults = [found[2] for found in variables if found]
    assert len(defaults) == len(set(defaults)) == len(PORTS)
    assert sum(len(service.get("ports", [])) for service in SERVICES.values()) == len(PORTS)


def test_without_any_variable_ports_are_the_defaults_of_the_settings() -> None:
    defaults = {found[1]: found[2] for found in VARIABLE.finditer(compose_text())}
    settings = load_settings({"sinks": "postgres"}, Path("no.env"))

    wanted = docker_stack.compose_variables(settings)
    assert {name: defaults[name] for name in wanted if name in PORTS} == {
        "KAFKA_PORT": "9092",
        "CASSANDRA_PORT": "9042",
        "MONGO_PORT": "27017",
        "POSTGRES_PORT": "5432",
    }
    assert {name: value for name, value in wanted.items() if name in PORTS} == {
        "KAFKA_PORT": "9092",
        "CASSANDRA_PORT": "9042",
        "MONGO_PORT": "27017",
        "POSTGRES_PORT": "5432",
    }


def test_variables_are_settings_ports_or_the_folder_of_secrets() -> None:
    used = {found[1] for found in VARIABLE.finditer(compose_text())}

    assert used - SETTINGS - PORTS == {"SECRETS_FOLDER"}


def test_programs_on_both_sides_get_a_broker_address_that_they_reach() -> None:
    kafka = compose(KAFKA_PORT="19999")["services"]["kafka"]
    options = dict(o.removeprefix("--").split("=", 1) for o in kafka["command"] if "=" in o)
    listeners = dict(part.split("://") for part in options["kafka-addr"].split(","))
    advertised = dict(part.split("://") for part in options["advertise-kafka-addr"].split(","))

    # Containers come by the service's name, programs of the machine by the published port.
    assert advertised == {"internal": "kafka:9092", "external": "127.0.0.1:19999"}
    assert listeners["internal"] == "0.0.0.0:9092"
    assert kafka["ports"] == [f"127.0.0.1:19999:{listeners['external'].rpartition(':')[2]}"]


def test_broker_keeps_messages_and_makes_topics_as_the_embedded_one_does() -> None:
    properties = yaml.safe_load(compose()["configs"]["redpanda"]["content"])
    embedded = dict(line.split("=", 1) for line in SERVER_PROPERTIES.split())

    assert properties == {"log_retention_ms": -1, "auto_create_topics_enabled": False}
    assert embedded["log.retention.ms"] == "-1"
    assert embedded["auto.create.topics.enable"] == "false"


@pytest.mark.parametrize("name", own_services())
def test_every_variable_of_a_container_is_a_setting(name: str) -> None:
    given = set(own_services()[name]["environment"]) | set(image_environment())

    assert given - SETTINGS - FOREIGN == set()


@pytest.mark.parametrize("name", [*JOBS, "prepare", "producer-tickets"])
def test_addresses_lead_to_the_services_as_they_listen(name: str, loaded: Loaded) -> None:
    settings = loaded(SERVICES[name]["environment"])

    assert settings.kafka_bootstrap_servers == "kafka:9092"
    cassandra = f"{settings.cassandra_contact_points}:{settings.cassandra_port}"
    assert cassandra == "cassandra:9042"
    assert settings.mongo_address == "mongodb://mongodb:27017"
    assert settings.spark_master == "spark://spark-master:7077"
    assert settings.s3_endpoint_url == "http://s3:5000"
    published = {s: SERVICES[s]["ports"][0].rpartition(":")[2] for s in ("cassandra", "s3")}
    assert published == {"cassandra": "9042", "s3": "5000"}
    assert SERVICES["mongodb"]["ports"][0].endswith(":27017")
    master = SERVICES["spark-master"]["command"]
    assert master[master.index("--host") + 1] == "spark-master"
    assert master[master.index("--port") + 1] == "7077"
    assert SERVICES["spark-worker"]["command"][-1] == settings.spark_master


def test_what_is_left_empty_has_the_default_of_the_settings(loaded: Loaded) -> None:
    settings = loaded(SERVICES["job-tickets"]["environment"])

    assert settings.sinks == ("cassandra", "mongodb", "files")
    assert settings.tickets_rate == 10
    assert settings.stack == "external"
    assert settings.output_path == "/var/lib/millrace/output"
    given = own_services(SINKS="mongodb", OUTPUT_PATH="s3a://b/out", S3_ENDPOINT_URL="")
    changed = loaded(given["job-tickets"]["environment"])
    assert (changed.sinks, changed.output_path) == (("mongodb",), "s3a://b/out")
    assert changed.s3_endpoint_url is None


def test_state_is_on_a_volume_that_driver_and_executors_share(loaded: Loaded) -> None:
    home = image_environment()["MILLRACE_HOME"]

    for name, service in own_services().items():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp:exec,mode=1777,size=512m"]  # noqa: S108 - the container's
        if name == "spark-master":
            continue
        assert service["volumes"] == [f"millrace-state:{home}"]
        if name != "spark-worker":
            settings = loaded(service["environment"])
            written = (str(settings.millrace_home), settings.output_path)
            assert all(path.startswith(home) for path in written)
    worker = SERVICES["spark-worker"]
    command = worker["command"]
    assert command[command.index("--work-dir") + 1].startswith(home)
    assert worker["environment"]["SPARK_LOCAL_DIRS"].startswith(home)


def test_named_volumes_and_secrets_are_the_declared_ones() -> None:
    whole = compose()
    mounts = {v.partition(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])}
    volumes = {name for name in mounts if not name.startswith(".")}
    secrets = {name for service in SERVICES.values() for name in service.get("secrets", [])}

    assert volumes == set(whole["volumes"])
    assert all((COMPOSE_FILE.parent / file).is_file() for file in mounts - volumes)
    assert secrets == set(whole["secrets"])
    assert not [name for name in SETTINGS if re.search(rf"^ +{name}: .*\S", compose_text(), re.M)
                and re.search("PASSWORD|SECRET_|HASH_KEY|DSN", name)]  # fmt: skip


def test_every_container_finds_its_secrets_in_the_files_that_are_made(
    tmp_path: Path, loaded: Loaded
) -> None:
    settings = loaded(SERVICES["job-tickets"]["environment"])

    key = (tmp_path / "secrets" / "pii_hash_key").read_text().strip()
    assert len(key) == 64
    assert load_pii_hash_key(settings) == key
    password = (tmp_path / "secrets" / "postgres_password").read_text().strip()
    parts = urlsplit(settings.postgres_dsn.get_secret_value())
    assert (parts.username, parts.password) == ("millrace", password)
    assert settings.postgres_address == "postgres:5432/millrace"
    server = SERVICES["postgres"]
    assert server["environment"]["POSTGRES_USER"] == parts.username
    assert server["environment"]["POSTGRES_DB"] == "millrace"
    assert server["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres_password"
    assert settings.aws_secret_access_key is not None
    modes = {oct(p.stat().st_mode & 0o777) for p in (tmp_path / "secrets").rglob("*")}
    # A container's user may read the files; no other user of this machine may enter the folders.
    assert modes == {"0o700", "0o644"}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_services_that_come_with_it(name: str) -> None:
    service = SERVICES[name]

    for other, how in service.get("depends_on", {}).items():
        profiles = SERVICES[other].get("profiles")
        together = profiles is None or set(service.get("profiles", [""])) <= set(profiles)
        assert together or how.get("required") is False
        ended = how["condition"] == "service_completed_successfully"
        assert ended == (other == "prepare")
        assert ended or SERVICES[other]["healthcheck"]


def test_make_up_starts_exactly_the_services_without_a_profile() -> None:
    assert [n for n, s in SERVICES.items() if "profiles" not in s] == [*docker_stack.SERVICES]
    assert SERVICES["postgres"]["profiles"] == ["postgres"]


@pytest.mark.parametrize("name", [n for n in SERVICES if n.startswith(("job-", "producer-"))])
def test_every_producer_and_job_has_an_entry_point_with_these_options(name: str) -> None:
    python, module_flag, module, *options = SERVICES[name]["command"]
    source = importlib.util.find_spec(module)

    assert (python, module_flag) == ("python", "-m")
    assert source
    assert source.origin
    text = Path(source.origin).read_text()
    if module.startswith("producers."):
        text += (PROJECT_ROOT / "producers" / "command.py").read_text()
    for option in options[::2]:
        assert f'"{option}"' in text
    part, pipeline = name.split("-")
    assert module == f"{ {'job': 'spark_jobs', 'producer': 'producers'}[part] }.{pipeline}"
    assert SERVICES[name]["profiles"] == [pipeline]


def test_set_up_is_the_command_that_prepares_every_other_stack() -> None:
    program, *arguments = SERVICES["prepare"]["command"]

    scripts = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts[program] == "operations.cli:main"
    assert build_parser().parse_args(arguments).command is commands.up


def test_master_and_worker_are_classes_of_the_spark_in_the_image() -> None:
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("spark-core_*.jar")
    classes = zipfile.ZipFile(jar).namelist()

    for name in ("spark-master", "spark-worker"):
        program, main_class = SERVICES[name]["command"][:2]
        assert (Path(pyspark.__file__).parent / "bin" / program).is_file()
        assert main_class.replace(".", "/") + ".class" in classes


def test_all_jobs_and_one_command_fit_on_the_worker_at_once() -> None:
    command = SERVICES["spark-worker"]["command"]
    memory = megabytes(command[command.index("--memory") + 1])
    cores = int(command[command.index("--cores") + 1])
    options = SERVICES["spark-master"]["environment"]["SPARK_MASTER_OPTS"]
    (cores_of_each,) = re.findall(r"defaultCores=(\d+)", options)
    heaps = [megabytes(job["environment"]["SPARK_EXECUTOR_MEMORY"]) for job in JOBS.values()]

    assert len(heaps) == 3
    assert sum(heaps) + heaps[0] <= memory
    assert (len(JOBS) + 1) * int(cores_of_each) <= cores
    assert megabytes(SERVICES["spark-worker"]["mem_limit"]) >= 1.5 * memory + 512


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_room_for_its_heap_and_time_for_its_end(name: str) -> None:
    heap = megabytes(JOBS[name]["environment"]["SPARK_DRIVER_MEMORY"])

    assert megabytes(JOBS[name]["mem_limit"]) >= 2 * heap
    grace = int(JOBS[name]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["stop_timeout_seconds"].default
