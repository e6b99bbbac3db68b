"""docker/kubernetes/: valid by Kubernetes' schemas, with names that settings and code know."""

from __future__ import annotations

import copy
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from operations import commands
from operations.options import build_parser
from settings import SECRET_VARIABLES, SECRETS_VARIABLE, Settings, load_settings
from spark_jobs.registry import pipelines_of
from spark_jobs.session.defaults import spark_defaults
from tests.support.container_settings import SETTINGS
from tests.support.containers import image_environment
from tests.support.manifests import (
    EXECUTOR,
    FOLDER,
    KUSTOMIZATION,
    applied,
    config,
    container,
    kustomizations,
    mebibytes,
    pods,
)

APPLIED = applied()
PODS = pods(APPLIED)
OURS = {name: pod for name, pod in PODS.items() if name != EXECUTOR}
VALUES = config(APPLIED, "millrace")
SECRET = yaml.safe_load((FOLDER / "secret.example.yaml").read_text())
VERSIONS = ("1.29", "1.33", "1.37")
# Variables of the pods that are no settings; the first five are for the driver's own command.
OTHERS = {"PIPELINE", "IMAGE", "NAMESPACE", "POD_NAME", "POD_IP", SECRETS_VARIABLE}
DRIVERS = {name: pod for name, pod in PODS.items() if name.startswith("StatefulSet/")}
DRIVER = "StatefulSet/job-tickets"
# What Python needs outside of the JVM: the driver and the program that submits it.
PYTHON_MEBIBYTES = 512


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*APPLIED, EXECUTOR, "Secret/millrace"])
def test_manifests_keep_to_the_schemas_of_kubernetes(name: str, version: str) -> None:
    document = {**APPLIED, EXECUTOR: PODS[EXECUTOR], "Secret/millrace": SECRET}[name]

    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_is_not_valid(version: str) -> None:
    broken = copy.deepcopy(APPLIED[DRIVER])
    broken["spec"]["template"]["spec"]["enableServiceLink"] = False

    with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
        kubernetes_validate.validate(broken, version, strict=True)


def test_each_pipeline_has_a_driver_and_executors_run_its_image() -> None:
    pipelines = [pipeline.name for pipeline in pipelines_of(Settings())]
    assert set(DRIVERS) == {f"StatefulSet/job-{pipeline}" for pipeline in pipelines}
    assert {container(pod)["image"] for pod in OURS.values()} == {"registry.example/millrace:0.1.0"}
    for name, pod in DRIVERS.items():
        given = {each["name"]: each for each in container(pod)["env"]}
        assert given["IMAGE"]["value"] == "registry.example/millrace:0.1.0"
        label = given["PIPELINE"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert label == "metadata.labels['app.kubernetes.io/name']"
        labels = pod["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == name.removeprefix("StatefulSet/job-")
        assert APPLIED[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    # The policy lets exactly these talk to each other.
    policy = APPLIED["NetworkPolicy/millrace"]["spec"]["podSelector"]["matchLabels"]
    for pod in PODS.values():
        assert policy.items() <= pod["metadata"]["labels"].items()


def test_every_file_belongs_to_what_is_applied() -> None:
    listed, read = set(), set()
    for folder, found in kustomizations().items():
        listed |= {(folder / each).resolve() for each in found["resources"]}
        read |= {(folder / each["path"]).resolve() for each in found.get("patches", ())}
        for each in found.get("configMapGenerator", ()):
            files = [*each.get("envs", ()), *each.get("files", ())]
            read |= {(folder / file.rpartition("=")[2]).resolve() for file in files}
    files = {path for path in FOLDER.rglob("*") if path.is_file() and path.name != KUSTOMIZATION}

    assert files - listed - read == {FOLDER / "secret.example.yaml"}
    assert set(kustomizations()) - listed == {FOLDER}


def test_a_changed_setting_or_template_starts_the_pods_that_use_it_again(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "manifests")
    values = tmp_path / "manifests" / "settings.env"
    values.write_text(
        values.read_text().replace("SPARK_DRIVER_MEMORY=1g", "SPARK_DRIVER_MEMORY=2g")
    )
    changed = pods(applied(tmp_path / "manifests"))

    assert set(changed) == set(PODS)
    same = {name for name, pod in changed.items() if pod == PODS[name]}
    assert same == {EXECUTOR}

    template = tmp_path / "manifests" / "executor.yaml"
    template.write_text(template.read_text().replace("enableServiceLinks: false", ""))
    again = pods(applied.__wrapped__(tmp_path / "manifests"))
    assert {name for name, pod in again.items() if pod != changed[name]} == {EXECUTOR, *DRIVERS}


def test_every_variable_of_a_pod_is_a_setting() -> None:
    (name,) = [
        each for each in APPLIED if each.startswith("ConfigMap/millrace-") and len(each) < 31
    ]
    for pod_name, pod in OURS.items():
        given = {each["name"] for each in container(pod)["env"]}
        assert given <= OTHERS, pod_name
        reference = {"name": name.removeprefix("ConfigMap/")}
        assert container(pod)["envFrom"] == [{"configMapRef": reference}]
        assert pod["spec"]["enableServiceLinks"] is False, "KAFKA_PORT, MONGO_PORT of a service"

    assert set(VALUES) - SETTINGS == set()
    assert set(VALUES) & SECRET_VARIABLES == set()


def test_the_secret_has_a_place_for_every_secret_setting() -> None:
    keys = set(SECRET["stringData"])

    assert keys - SETTINGS == set()
    # The manifests start no dashboard.
    assert SECRET_VARIABLES - {"DASHBOARD_PASSWORD"} <= keys
    assert set(SECRET["stringData"].values()) == {""}


def pod_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a program in a pod, its secrets as the kubelet lays them."""
    secrets = tmp_path / "secrets"
    (secrets / "..2026_11_28").mkdir(parents=True)
    (secrets / "..data").symlink_to("..2026_11_28")
    values = {"PII_HASH_KEY": "k", "MONGO_URI": "mongodb://m:hush@mongo.example:27017"}
    for key, value in values.items():
        (secrets / "..2026_11_28" / key).write_text(value)
        (secrets / key).symlink_to(f"..data/{key}")
    given = image_environment() | VALUES
    for name in SETTINGS & set(given):
        monkeypatch.setenv(name, given[name])
    monkeypatch.setenv(SECRETS_VARIABLE, str(secrets))
    return load_settings(env_file=Path("no.env"))


def test_settings_and_secrets_of_a_pod_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pod_settings(tmp_path, monkeypatch)

    assert settings.stack == "external"
    assert settings.mongo_address == "mongodb://mongo.example:27017"
    assert settings.pii_hash_key is not None
    assert settings.pii_hash_key.get_secret_value() == "k"
    assert settings.checkpoints == "s3a://millrace/checkpoints"
    assert settings.metrics_port == 9108
    assert settings.metrics_host == "0.0.0.0"  # noqa: S104 - the pod's network


def test_a_driver_is_alone_and_a_broken_one_can_be_replaced() -> None:
    for name, pod in DRIVERS.items():
        assert APPLIED[name]["spec"]["replicas"] == 1
        # Or else an update never ends waiting for a pod that is not ready.
        assert APPLIED[name]["spec"]["podManagementPolicy"] == "Parallel"
        grace = pod["spec"]["terminationGracePeriodSeconds"]
        assert grace > Settings.model_fields["stop_timeout_seconds"].default


def test_probes_ask_the_job_itself_and_a_waiting_job_is_not_killed() -> None:
    for pod in DRIVERS.values():
        driver = container(pod)
        ports = {port["name"]: port["containerPort"] for port in driver["ports"]}
        port = int(VALUES["METRICS_PORT"])
        assert ports["metrics"] == port
        # /healthz is 503 until the queries run, and while a store is down.
        assert driver["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
        for kills in ("startupProbe", "livenessProbe"):
            asks = {key for key in driver[kills] if key in {"httpGet", "exec", "grpc", "tcpSocket"}}
            assert asks == {"tcpSocket"}
            assert driver[kills]["tcpSocket"] == {"port": "metrics"}
        ingress = APPLIED["NetworkPolicy/millrace"]["spec"]["ingress"]
        among_themselves, from_anywhere = ([p["port"] for p in rule["ports"]] for rule in ingress)
        assert among_themselves == [ports["driver"], ports["blocks"]]
        assert from_anywhere == [port]


@pytest.mark.parametrize("name", [*DRIVERS, "CronJob/verify"])
def test_a_pod_has_room_for_its_heap_and_for_what_is_outside_of_it(name: str) -> None:
    # As much as Spark adds to the heap of an executor.
    outside = mebibytes(spark_defaults()["spark.executor.memoryOverhead"]) + PYTHON_MEBIBYTES
    limit = mebibytes(container(PODS[name])["resources"]["limits"]["memory"])

    assert limit >= mebibytes(VALUES["SPARK_DRIVER_MEMORY"]) + outside


def test_what_is_applied_again_starts_no_job_of_an_operator() -> None:
    assert not [name for name in APPLIED if name.startswith("Job/")]
    for name in ("CronJob/prepare", "CronJob/producer-customers"):
        assert APPLIED[name]["spec"]["suspend"] is True
        # Its name is free again for the next one.
        assert APPLIED[name]["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 600
    assert "suspend" not in APPLIED["CronJob/verify"]["spec"]


@pytest.mark.parametrize(
    ("name", "run"), [("CronJob/prepare", commands.up), ("CronJob/verify", commands.verify)]
)
def test_commands_of_operators_are_there(name: str, run: Any) -> None:
    program, *words = container(PODS[name])["command"]

    assert program == "millrace"
    assert build_parser().parse_args(words).command is run


@pytest.mark.parametrize("name", [name for name in OURS if "producer" in name])
def test_producers_have_an_entry_point_with_these_options(name: str) -> None:
    python, flag, module, *options = container(PODS[name])["command"]

    assert (python, flag) == ("python", "-m")
    assert module == f"producers.{name.rpartition('-')[2]}"
    assert importlib.util.find_spec(module)
    assert set(options[::2]) <= {"--count", "--rate"}
