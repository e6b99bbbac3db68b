"""The manifests of docker/kubernetes/, as they stand and as kustomize puts them together."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "docker" / "kubernetes"
KUSTOMIZATION = "kustomization.yaml"
# The part of each kind that describes its pods.
TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


def written() -> dict[str, dict[str, Any]]:
    """Kind and name -> each document, kustomize's own files left out."""
    files = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != KUSTOMIZATION)
    return _named(document for path in files for document in yaml.safe_load_all(path.read_text()))


def kustomizations() -> dict[Path, dict[str, Any]]:
    """Folder -> what kustomize does there."""
    return {path.parent: yaml.safe_load(path.read_text()) for path in FOLDER.rglob(KUSTOMIZATION)}


def rendered() -> dict[str, dict[str, Any]] | None:
    """What is applied; None where neither kubectl nor kustomize is installed."""
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            said = subprocess.run(
                [*command, str(FOLDER)], capture_output=True, text=True, timeout=60, check=True
            )
            return _named(yaml.safe_load_all(said.stdout))
    return None


def pods(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Kind and name -> the pod that it makes, with metadata; that of executors too."""
    found = {}
    for name, document in documents.items():
        part: Any = document
        if path := TEMPLATES.get(document["kind"]):
            for key in path:
                part = part[key]
            found[name] = part
    executor = documents["ConfigMap/millrace-executor"]["data"]["pod.yaml"]
    return found | {"Pod/executor": yaml.safe_load(executor)}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Its only container."""
    (only,) = pod["spec"]["containers"]
    return dict(only)


def _named(documents: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in documents}
