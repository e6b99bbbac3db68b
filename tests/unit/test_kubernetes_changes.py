"""docs/kubernetes.md: the changes that it shows, made to a copy of the manifests."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from settings import PROJECT_ROOT
from tests.support.manifests import (
    EXECUTOR,
    FOLDER,
    KUSTOMIZATION,
    applied,
    config,
    container,
    pods,
)

PAGE = (PROJECT_ROOT / "docs" / "kubernetes.md").read_text()


def blocks(kind: str, file: str) -> list[str]:
    """The page's blocks of this kind for this file, which their first line names."""
    return re.findall(rf"```{kind}\n# {re.escape(file)}\b[^\n]*\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What is applied from a copy with all of the page's changes."""
    folder = tmp_path_factory.mktemp("changed") / "manifests"
    shutil.copytree(FOLDER, folder)
    (line,) = blocks("ini", "settings.env")
    with (folder / "settings.env").open("a") as file:
        file.write(line)
    own = Path("pipelines") / "orders" / KUSTOMIZATION
    (content,) = blocks("yaml", str(own))
    (folder / own).parent.mkdir()
    (folder / own).write_text(content)
    base = yaml.safe_load((folder / KUSTOMIZATION).read_text())
    more = [yaml.safe_load(block) for block in blocks("yaml", KUSTOMIZATION)]
    assert len(more) == 2
    for each in more:
        for key, items in each.items():
            base[key] += items
    (folder / KUSTOMIZATION).write_text(yaml.safe_dump(base))
    return applied(folder)


def test_an_own_pipeline_gets_a_driver_with_its_folder(changed: dict[str, dict[str, Any]]) -> None:
    driver = pods(changed)["StatefulSet/job-orders"]

    kubernetes_validate.validate(changed["StatefulSet/job-orders"], "1.33", strict=True)
    assert driver["metadata"]["labels"]["app.kubernetes.io/name"] == "orders"
    usual = pods(changed)["StatefulSet/job-tickets"]
    assert driver["spec"] == usual["spec"]
    (reference,) = container(driver)["envFrom"]
    values = changed[f"ConfigMap/{reference['configMapRef']['name']}"]["data"]
    assert values == config(applied(), "millrace") | {"PIPELINES_PATH": "/opt/pipelines"}
    (dockerfile,) = blocks("dockerfile", "Dockerfile")
    *_, copied = dockerfile.split()
    assert copied == values["PIPELINES_PATH"]


def test_every_pod_can_be_pulled_with_the_secret(changed: dict[str, dict[str, Any]]) -> None:
    (secret,) = re.findall(r"kubectl create secret generic (\S+) ", PAGE)

    accounts = {pod["spec"]["serviceAccountName"] for pod in pods(changed).values()}
    assert accounts == {"millrace", "millrace-driver"}
    assert EXECUTOR in pods(changed)
    for account in accounts:
        found = changed[f"ServiceAccount/{account}"]
        assert found["imagePullSecrets"] == [{"name": secret}]
        kubernetes_validate.validate(found, "1.33", strict=True)
