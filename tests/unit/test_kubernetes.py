"""docker/kubernetes/: valid by Kubernetes' schemas, with names that settings and code know."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from operations import commands
from operations.options import build_parser
from settings import SECRET_VARIABLES, SECRETS_VARIABLE, Settings, load_settings
from spark_jobs.registry import pipelines_of
from tests.support.container_settings import SETTINGS
from tests.support.containers import image_environment
from tests.support.manifests import FOLDER, container, kustomizations, pods, rendered, written

WRITTEN = written()
PODS = pods(WRITTEN)
OURS = {name: pod for name, pod in PODS.items() if name != "Pod/executor"}
VERSIONS = ("1.29", "1.33", "1.37")
# Variables of the pods that are no settings; the first five are for the driver's own command.
OTHERS = {"PIPELINE", "IMAGE", "NAMESPACE", "POD_NAME", "POD_IP", SECRETS_VARIABLE}
DRIVER = "StatefulSet/job"


@pytest.fixture(scope="module")
def applied() -> dict[str, dict[str, Any]]:
    """What `kubectl apply --kustomize` sends."""
    found = rendered()
    if found is None:
        pytest.skip("neither kubectl nor kustomize is installed")
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*WRITTEN, "Pod/executor"])
def test_manifests_keep_to_the_schemas_of_kubernetes(name: str, version: str) -> None:
    document = PODS[name] if name == "Pod/executor" else WRITTEN[name]

    kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_is_not_valid() -> None:
    broken = copy.deepcopy(WRITTEN[DRIVER])
    broken["spec"]["template"]["spec"]["enableServiceLink"] = False

    with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
        kubernetes_validate.validate(broken, "1.33", strict=True)


def test_what_is_applied_is_valid_and_complete(applied: dict[str, dict[str, Any]]) -> None:
    for document in applied.values():
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)

    pipelines = [pipeline.name for pipeline in pipelines_of(Settings())]
    drivers = {name: pod for name, pod in pods(applied).items() if name.startswith("StatefulSet")}
    assert set(drivers) == {f"StatefulSet/job-{pipeline}" for pipeline in pipelines}
    images = {container(pod)["image"] for n, pod in pods(applied).items() if n != "Pod/executor"}
    assert len(images) == 1
    for name, pod in drivers.items():
        given = {each["name"]: each.get("value") for each in container(pod)["env"]}
        assert given["PIPELINE"] == name.removeprefix("StatefulSet/job-")
        assert {given["IMAGE"]} == images
        labels = pod["metadata"]["labels"]
        assert applied[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    # The policy lets exactly these talk to each other.
    policy = applied["NetworkPolicy/millrace"]["spec"]["podSelector"]["matchLabels"]
    for pod in pods(applied).values():
        assert policy.items() <= pod["metadata"]["labels"].items()


def test_every_file_belongs_to_what_is_applied() -> None:
    listed = {
        (folder / each).resolve()
        for folder, found in kustomizations().items()
        for each in found["resources"]
    }
    files = {path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"}

    assert files - listed == {FOLDER / "secret.example.yaml"}
    assert set(kustomizations()) - listed == {FOLDER}


def test_every_variable_of_a_pod_is_a_setting() -> None:
    values = WRITTEN["ConfigMap/millrace"]["data"]
    for name, pod in OURS.items():
        given = {each["name"] for each in container(pod)["env"]}
        assert given <= OTHERS, name
        assert container(pod)["envFrom"] == [{"configMapRef": {"name": "millrace"}}]
        assert pod["spec"]["enableServiceLinks"] is False, "KAFKA_PORT, MONGO_PORT of a service"

    assert set(values) - SETTINGS == set()
    assert set(values) & SECRET_VARIABLES == set()
    assert all(isinstance(value, str) for value in values.values())


def test_the_secret_has_a_place_for_every_secret_setting() -> None:
    keys = set(WRITTEN["Secret/millrace"]["stringData"])

    assert keys - SETTINGS == set()
    # The manifests start no dashboard.
    assert SECRET_VARIABLES - {"DASHBOARD_PASSWORD"} <= keys
    assert set(WRITTEN["Secret/millrace"]["stringData"].values()) == {""}


def pod_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a program in a pod, its secrets as the kubelet lays them."""
    secrets = tmp_path / "secrets"
    (secrets / "..2026_11_28").mkdir(parents=True)
    (secrets / "..data").symlink_to("..2026_11_28")
    values = {"PII_HASH_KEY": "k", "MONGO_URI": "mongodb://m:hush@mongo.example:27017"}
    for key, value in values.items():
        (secrets / "..2026_11_28" / key).write_text(value)
        (secrets / key).symlink_to(f"..data/{key}")
    given = image_environment() | WRITTEN["ConfigMap/millrace"]["data"]
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


@pytest.mark.parametrize("name", PODS)
def test_pods_run_without_powers_on_a_read_only_file_system(name: str) -> None:
    spec, only = PODS[name]["spec"], container(PODS[name])

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # The driver alone asks Kubernetes for something.
    assert spec.get("automountServiceAccountToken", True) is (name == DRIVER)
    mounts = {mount["mountPath"]: mount["name"] for mount in only["volumeMounts"]}
    assert mounts["/var/lib/millrace"] == "state"
    assert mounts["/tmp"] == "tmp"  # noqa: S108 - the container's
    assert image_environment()["MILLRACE_HOME"] == "/var/lib/millrace"
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert set(mounts.values()) == set(volumes)
    claim = volumes["state"]["persistentVolumeClaim"]["claimName"]
    assert f"PersistentVolumeClaim/{claim}" in WRITTEN
    if name != "Pod/executor":
        assert {"cpu", "memory"} == set(only["resources"]["requests"])
        assert only["resources"]["limits"]["memory"] == only["resources"]["requests"]["memory"]
        (variable,) = [e["value"] for e in only["env"] if e["name"] == SECRETS_VARIABLE]
        assert mounts[variable] == "secrets"
        assert volumes["secrets"]["secret"] == {"secretName": "millrace", "defaultMode": 0o440}
        # There Kubernetes mounts the account's token, into what would be read-only.
        assert not variable.startswith(("/run", "/var/run"))


def test_probes_ask_the_job_itself_and_a_waiting_job_is_not_killed() -> None:
    driver = container(PODS[DRIVER])
    ports = {port["name"]: port["containerPort"] for port in driver["ports"]}

    port = int(WRITTEN["ConfigMap/millrace"]["data"]["METRICS_PORT"])
    assert ports["metrics"] == port
    for probe in ("startupProbe", "readinessProbe"):
        assert driver[probe]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    # /healthz is 503 while a store is down.
    assert driver["livenessProbe"]["tcpSocket"] == {"port": "metrics"}
    grace = PODS[DRIVER]["spec"]["terminationGracePeriodSeconds"]
    assert grace > Settings.model_fields["stop_timeout_seconds"].default
    ingress = WRITTEN["NetworkPolicy/millrace"]["spec"]["ingress"]
    among_themselves, from_anywhere = ([p["port"] for p in rule["ports"]] for rule in ingress)
    assert among_themselves == [ports["driver"], ports["blocks"]]
    assert from_anywhere == [port]


def test_a_driver_is_alone_and_may_touch_pods_only() -> None:
    assert WRITTEN[DRIVER]["spec"]["replicas"] == 1
    (rule,) = WRITTEN["Role/millrace-driver"]["rules"]
    assert (rule["apiGroups"], rule["resources"]) == ([""], ["pods"])
    assert PODS[DRIVER]["spec"]["serviceAccountName"] == "millrace-driver"
    binding = WRITTEN["RoleBinding/millrace-driver"]
    assert binding["roleRef"]["name"] == binding["subjects"][0]["name"] == "millrace-driver"


@pytest.mark.parametrize(
    ("name", "run"), [("Job/prepare", commands.up), ("CronJob/verify", commands.verify)]
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
