"""Drivers on Kubernetes: what a pod's command becomes, what `submit` prints; no JVM is started."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import zipfile
from pathlib import Path

import pyspark
import pytest
import yaml

from operations import cli
from runtime.jars import STAMP_NAME
from runtime.versions import pinned
from settings import PROJECT_ROOT
from tests.support.containers import image_environment
from tests.support.manifests import applied, config, container, pods

APPLIED = applied()
VALUES = config(APPLIED, "millrace")
POD = pods(APPLIED)["StatefulSet/job-tickets"]
DRIVER = container(POD)
GIVEN = {
    "PIPELINE": "tickets",
    "NAMESPACE": "data",
    "POD_NAME": "job-tickets-0",
    "POD_IP": "10.1.2.3",
    "IMAGE": "registry.example/millrace:0.1.0",
}


def pod_command() -> list[str]:
    """The container's command as Kubernetes starts it, its variables replaced."""
    words = [*DRIVER["command"], *DRIVER["args"]]
    return [re.sub(r"\$\((\w+)\)", lambda found: GIVEN[found[1]], word) for word in words]


@pytest.fixture
def started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> list[str]:
    """The words of the spark-submit that runs in the pod."""
    for group in ("spark", "s3"):
        folder = tmp_path / "jars" / group
        folder.mkdir(parents=True)
        (folder / f"{group}-connector.jar").touch()
        (folder / "both.jar").touch()
        (folder / STAMP_NAME).write_text(" ".join(pinned("jars", group)) + "\n")
    for name in ("SPARK_HOME", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MILLRACE_ENV_FILE", os.devnull)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JARS_PATH", str(tmp_path / "jars"))
    monkeypatch.setenv("PII_HASH_KEY", "hush")
    program, *words = pod_command()
    assert program == "millrace"
    code = cli.main([*words, "--dry-run"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "hush" not in printed.out
    return shlex.split(printed.out.replace("\\\n", " "))


def conf_of(words: list[str]) -> dict[str, str]:
    pairs = [after for word, after in itertools.pairwise(words) if word == "--conf"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_driver_runs_in_its_pod_and_downloads_nothing(started: list[str], tmp_path: Path) -> None:
    options = dict(itertools.pairwise(started))

    assert options["--master"] == "k8s://https://kubernetes.default.svc"
    assert options["--deploy-mode"] == "client"
    assert options["--driver-memory"] == "1g"
    assert options["--executor-memory"] == "1g"
    assert options["--executor-cores"] == "1"
    # Executors have the image's jars under the same path; each once.
    folder = tmp_path / "jars"
    assert sorted(options["--jars"].split(",")) == [
        f"local://{folder}/s3/both.jar",
        f"local://{folder}/s3/s3-connector.jar",
        f"local://{folder}/spark/spark-connector.jar",
    ]
    assert conf_of(started)["spark.jars.packages"] == ""
    assert "--packages" not in started
    assert started[-1] == "earliest"
    assert any(word.endswith("spark_jobs/tickets.py") for word in started)


def test_driver_and_executors_find_each_other(started: list[str]) -> None:
    conf = conf_of(started)

    assert conf["spark.kubernetes.namespace"] == "data"
    # Kubernetes removes executors with the pod that owns them, which Spark finds by this name.
    assert conf["spark.kubernetes.driver.pod.name"] == "job-tickets-0"
    assert conf["spark.kubernetes.container.image"] == "registry.example/millrace:0.1.0"
    assert conf["spark.driver.host"] == conf["spark.driver.bindAddress"] == "10.1.2.3"
    ports = {port["name"]: str(port["containerPort"]) for port in DRIVER["ports"]}
    assert conf["spark.driver.port"] == ports["driver"]
    assert conf["spark.blockManager.port"] == ports["blocks"]
    # Passwords go over these connections.
    assert conf["spark.authenticate"] == conf["spark.network.crypto.enabled"] == "true"


def test_executors_are_made_from_the_template_that_is_mounted(started: list[str]) -> None:
    template = Path(conf_of(started)["spark.kubernetes.executor.podTemplateFile"])
    (volume,) = [
        m["name"] for m in DRIVER["volumeMounts"] if m["mountPath"] == f"{template.parent}"
    ]
    (source,) = [v["configMap"]["name"] for v in POD["spec"]["volumes"] if v["name"] == volume]
    executor = yaml.safe_load(APPLIED[f"ConfigMap/{source}"]["data"][template.name])

    (program,) = container(executor)["command"]
    scripts = image_environment()["PATH"].split(":")[1]
    assert scripts == "/opt/millrace/runtime/container"
    assert (Path(__file__).parents[2] / "runtime" / "container" / program).is_file()
    # Shuffle files lie in the pod, not among the state that pods share.
    assert conf_of(started)["spark.local.dir"].startswith("/tmp/")  # noqa: S108 - the pod's


def properties_of_spark() -> set[str]:
    """Every property that is written out in Spark's classes.

    A text of a class file is preceded by its length, so a part of a property is none.
    """
    folder = Path(pyspark.__file__).parent / "jars"
    found: set[str] = set()
    for pattern in ("spark-core_*.jar", "spark-kubernetes_*.jar"):
        (jar,) = folder.glob(pattern)
        with zipfile.ZipFile(jar) as classes:
            for name in classes.namelist():
                content = classes.read(name) if name.endswith(".class") else b""
                for text in re.finditer(rb"(?s)\x01(..)(?=(spark\.[A-Za-z.]+))", content):
                    length = int.from_bytes(text[1], "big")
                    found.add(text[2][:length].decode())
    return found


def test_every_property_of_the_driver_is_one_of_spark(started: list[str]) -> None:
    known = properties_of_spark()

    assert [name for name in conf_of(started) if name not in known] == []
    # One letter less or more is found.
    for name in conf_of(started):
        assert not {name[:-1], f"{name}s"} & known, name


def test_pods_get_no_path_of_the_machine_that_submits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MILLRACE_ENV_FILE", os.devnull)
    monkeypatch.setenv("PIPELINES_PATH", str(PROJECT_ROOT / "examples"))
    monkeypatch.setenv("JARS_PATH", str(tmp_path / "jars"))
    given = ["--master", "k8s://https://host.example:6443", "--dry-run"]

    assert cli.main(["submit", "tickets", *given]) == 0
    built_in = capsys.readouterr()
    assert cli.main(["submit", "orders", *given]) == 0
    own = capsys.readouterr()

    assert "driverEnv.MILLRACE_HOME=/var/lib/millrace" in built_in.out
    assert "PATH=" not in built_in.out.replace("OUTPUT_PATH=/var/lib/millrace/output", "")
    # The claim has these folders.
    assert "every worker must see" not in built_in.err
    assert "driverEnv.PIPELINES_PATH=/opt/pipelines" in own.out
    assert str(PROJECT_ROOT / "examples") not in own.out
