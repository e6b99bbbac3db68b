"""The spark-submit command of a job, and the environment with its driver's settings.

The driver runs on this machine with this checkout and Python, so settings and secrets reach it by
environment and `.env`, as with `millrace job NAME`. Executors get connectors, code and
the settings they need from it; they only need Java and Spark.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from errors import JobError
from operations.masking import MASK
from operations.shipping import archive_path
from runtime.config.addresses import LOOPBACK_HOSTS
from runtime.java import Java, java_environment
from runtime.surroundings import for_java
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.defaults import DEFAULTS_FILE, spark_defaults
from spark_jobs.session.hadoop_conf import UNUSED_PACKAGES, hadoop_environment, writes_to_s3
from spark_jobs.session.session import connector_packages, fetched_jars, launch_conf
from spark_jobs.session.spark_home import spark_home

KUBERNETES: Final = "k8s://"
MASTERS: Final = re.compile(r"local(\[.+\]|-cluster\[.+\])?\Z|spark://\S+\Z|yarn\Z|k8s://\S+\Z")
# spark-submit takes these for patterns in lists of files, and offers no way to escape them.
PATTERN_SIGNS: Final = frozenset("[]{}*?\\")


@dataclass(frozen=True)
class Submission:
    """A command, and the variables to add to this process's environment."""

    words: list[str]
    environment: dict[str, str]


def check(settings: Settings, conf: Sequence[str]) -> None:
    """Refuse a submission that cannot work or would show a secret.

    Raises:
        JobError: names what is wrong and what to do.
    """
    master = settings.spark_master
    if not MASTERS.match(master):
        raise JobError(
            f"`{master}` is not a Spark master; expected spark://host:7077, yarn, local[*] or"
            " k8s://https://host:port. Give it by `--master` or SPARK_MASTER."
        )
    if master == "yarn" and not (settings.hadoop_conf_dir or os.environ.get("YARN_CONF_DIR")):
        raise JobError(
            "--master yarn: the cluster's address comes from its configuration. Set HADOOP_CONF_DIR"
            " to the folder of `core-site.xml` and `yarn-site.xml`."
        )
    if found := sorted(PATTERN_SIGNS & {*str(settings.millrace_home)}):
        raise JobError(
            f"MILLRACE_HOME: `{settings.millrace_home}` holds {' '.join(found)}, which spark-submit"
            " takes for patterns. Set it to another folder."
        )
    for pair in conf:
        key, equals, _ = pair.partition("=")
        if not key.startswith("spark.") or not equals:
            raise JobError(f"--conf {key}: expected `spark.name=value`.")
        if re.search(spark_defaults()["spark.redaction.regex"], key):
            raise JobError(
                f"--conf {key}: all users of the machine can see a secret on a command line."
                " Put Millrace's secrets into the environment or `.env`."
            )


def submission(
    settings: Settings, pipeline: Pipeline, words: Sequence[str], conf: Sequence[str]
) -> Submission:
    """The submission of a job whose driver runs on this machine, or in this pod."""
    home = spark_home()
    log_path = settings.millrace_home / "logs" / f"spark-{pipeline.name}.log"
    java_options = launch_conf(settings, log_path)["spark.driver.extraJavaOptions"]
    command = [
        str(home / "bin" / "spark-submit"),
        *("--master", settings.spark_master),
        *("--deploy-mode", "client"),
        *("--name", f"millrace-{pipeline.name}"),
        *("--properties-file", str(DEFAULTS_FILE)),
        *resources(settings),
        *("--driver-java-options", java_options),
        *(_jars(settings) or packages(settings)),
        *("--py-files", as_word(archive_path(settings.millrace_home))),
        *(word for pair in conf for word in ("--conf", pair)),
        as_word(job_file(pipeline)),
        *pipeline.job_module[1:],
        *words,
    ]
    environment = {
        "SPARK_HOME": str(home),
        "SPARK_MASTER": settings.spark_master,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **hadoop_environment(settings),
    }
    if settings.spark_master.startswith("local"):
        environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    return Submission(command, environment)


def whole_environment(found: Submission, java: Java) -> dict[str, str]:
    """The complete environment of the command."""
    pools = {"MALLOC_ARENA_MAX": spark_defaults()["spark.executorEnv.MALLOC_ARENA_MAX"]}
    return pools | for_java(os.environ) | java_environment(java) | found.environment


def resources(settings: Settings) -> list[str]:
    """Memory and cores, as spark-submit takes them."""
    words = ["--driver-memory", settings.spark_driver_memory]
    if settings.spark_executor_memory:
        words += ["--executor-memory", settings.spark_executor_memory]
    if settings.spark_executor_cores:
        words += ["--executor-cores", str(settings.spark_executor_cores)]
    return words


def _jars(settings: Settings) -> list[str]:
    """In a pod: the image's connectors, which executors have under the same path."""
    if not settings.spark_master.startswith(KUBERNETES):
        return []
    jars = ",".join(f"local://{jar}" for jar in fetched_jars(settings))
    return ["--jars", jars, "--conf", "spark.jars.packages="] if jars else []


def packages(settings: Settings) -> list[str]:
    """Packages in addition to those of the properties file."""
    if not writes_to_s3(settings):
        return []
    packages, unused = ",".join(connector_packages(settings)), ",".join(UNUSED_PACKAGES)
    return ["--packages", packages, "--exclude-packages", unused]


def as_word(path: Path) -> str:
    """A path as spark-submit takes it: as a URI if it has characters that URIs reserve."""
    return path.as_uri() if {*str(path)} & {*"#%,"} else str(path)


def job_file(pipeline: Pipeline) -> Path:
    """The file that spark-submit runs."""
    return PROJECT_ROOT / f"{pipeline.job_module[0].replace('.', '/')}.py"


def shown_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    """Settings that differ from their defaults, secrets masked."""
    for name, field in Settings.model_fields.items():
        value: Any = getattr(settings, name)
        if value is None or value == field.default or name == "spark_master":
            continue
        if isinstance(value, SecretStr):
            yield name.upper(), MASK
        else:
            yield name.upper(), ",".join(value) if isinstance(value, tuple) else str(value)


def notes(settings: Settings, in_pods: bool = False) -> list[str]:
    """What executors on other machines could not reach; pods have the usual folders on a claim."""
    master = settings.spark_master
    if master.startswith("local") or urlsplit(master).hostname in LOOPBACK_HOSTS:
        return []
    found = [
        f"{name} is `{value}`, which on another machine means that machine itself"
        for name, value in (
            ("KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers),
            ("CASSANDRA_CONTACT_POINTS", settings.cassandra_contact_points),
        )
        if any(_host(part) in LOOPBACK_HOSTS for part in value.split(","))
    ]
    folders = {}
    below_home = settings.checkpoints.startswith(f"{settings.millrace_home}/")
    if not in_pods and (below_home or settings.cassandra_ssl):
        folders["MILLRACE_HOME"] = str(settings.millrace_home)
    if not below_home and "://" not in settings.checkpoints:
        folders["CHECKPOINT_PATH"] = settings.checkpoints
    if not in_pods and settings.files_at and "://" not in settings.files_at:
        folders["OUTPUT_PATH"] = settings.files_at
    return found + [
        f"{name}: every worker must see `{folder}` under this path (a shared file system)"
        for name, folder in folders.items()
    ]


def _host(address: str) -> str:
    return address.strip().partition(":")[0]
