"""docker/kubernetes/: what pods may do, and what they may write to."""

from __future__ import annotations

import pytest

from settings import SECRETS_VARIABLE
from tests.support.containers import image_environment
from tests.support.manifests import EXECUTOR, applied, container, pods

APPLIED = applied()
PODS = pods(APPLIED)
DRIVERS = [name for name in PODS if name.startswith("StatefulSet/")]


@pytest.mark.parametrize("name", PODS)
def test_pods_run_without_powers_on_a_read_only_file_system(name: str) -> None:
    spec, only = PODS[name]["spec"], container(PODS[name])

    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        # Storage whose driver heeds it gives the claim to this group, once.
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", PODS)
def test_what_a_pod_mounts_is_there(name: str) -> None:
    spec, only = PODS[name]["spec"], container(PODS[name])

    mounts = {mount["mountPath"]: mount["name"] for mount in only["volumeMounts"]}
    assert mounts["/var/lib/millrace"] == "state"
    assert mounts["/tmp"] == "tmp"  # noqa: S108 - the container's
    assert image_environment()["MILLRACE_HOME"] == "/var/lib/millrace"
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert set(mounts.values()) == set(volumes)
    claim = volumes["state"]["persistentVolumeClaim"]["claimName"]
    assert APPLIED[f"PersistentVolumeClaim/{claim}"]["spec"]["accessModes"] == ["ReadWriteMany"]
    if name != EXECUTOR:
        assert {"cpu", "memory"} == set(only["resources"]["requests"])
        assert only["resources"]["limits"]["memory"] == only["resources"]["requests"]["memory"]
        (variable,) = [e["value"] for e in only["env"] if e["name"] == SECRETS_VARIABLE]
        assert mounts[variable] == "secrets"
        assert volumes["secrets"]["secret"] == {"secretName": "millrace", "defaultMode": 0o440}
        # There Kubernetes mounts the account's token, into what would be read-only.
        assert not variable.startswith(("/run", "/var/run"))


@pytest.mark.parametrize("name", PODS)
def test_drivers_alone_ask_kubernetes_for_something(name: str) -> None:
    spec = PODS[name]["spec"]
    account = APPLIED[f"ServiceAccount/{spec['serviceAccountName']}"]

    mounts_token = spec.get(
        "automountServiceAccountToken", account.get("automountServiceAccountToken", True)
    )
    assert mounts_token is (name in DRIVERS)
    assert spec["serviceAccountName"] == ("millrace-driver" if name in DRIVERS else "millrace")


def test_drivers_may_touch_pods_only() -> None:
    (rule,) = APPLIED["Role/millrace-driver"]["rules"]
    assert (rule["apiGroups"], rule["resources"]) == ([""], ["pods"])
    binding = APPLIED["RoleBinding/millrace-driver"]
    assert binding["roleRef"]["name"] == "millrace-driver"
    assert [each["name"] for each in binding["subjects"]] == ["millrace-driver"]
    assert PODS[EXECUTOR]["spec"]["automountServiceAccountToken"] is False
