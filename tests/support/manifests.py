"""The manifests of docker/kubernetes/, as kustomize puts them together."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "docker" / "kubernetes"
KUSTOMIZATION = "kustomization.yaml"
# The part of each kind that describes its pods.
TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
EXECUTOR = "Pod/executor"


def kustomizations() -> dict[Path, dict[str, Any]]:
    """Folder -> what kustomize does there."""
    return {path.parent: yaml.safe_load(path.read_text()) for path in FOLDER.rglob(KUSTOMIZATION)}


def written_names() -> set[str]:
    """Kind and name of what the files describe, before kustomize."""
    files = [path for path in FOLDER.rglob("*.yaml") if path.name != KUSTOMIZATION]
    found = [each for path in files for each in yaml.safe_load_all(path.read_text())]
    return {f"{each['kind']}/{each['metadata'].get('name')}" for each in found}


@cache
def applied(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Kind and name -> what `kubectl apply --kustomize` sends; skips the test without kubectl."""
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            said = subprocess.run(
                [*command, str(folder)], capture_output=True, text=True, timeout=60, check=False
            )
            assert said.returncode == 0, said.stderr
            documents = yaml.safe_load_all(said.stdout)
            return {f"{each['kind']}/{each['metadata']['name']}": each for each in documents}
    pytest.skip(
        "docker/kubernetes: kustomize puts the manifests together, and neither it nor kubectl,"
        " which brings it, is installed",
        allow_module_level=True,
    )


def config(documents: dict[str, dict[str, Any]], name: str) -> dict[str, str]:
    """The values of a generated ConfigMap, whose name ends with their hash."""
    wanted = re.compile(rf"ConfigMap/{name}-[a-z0-9]{{10}}")
    (found,) = [document for key, document in documents.items() if wanted.fullmatch(key)]
    return dict(found["data"])


def pods(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Kind and name -> the pod that it makes, with metadata; that of executors too."""
    found = {}
    for name, document in documents.items():
        part: Any = document
        if path := TEMPLATES.get(document["kind"]):
            for key in path:
                part = part[key]
            found[name] = part
    template = config(documents, "millrace-executor")["pod.yaml"]
    return found | {EXECUTOR: yaml.safe_load(template)}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Its only container."""
    (only,) = pod["spec"]["containers"]
    return dict(only)


def mebibytes(text: str) -> int:
    """A size as Kubernetes (`512Mi`) or Spark (`1g`) writes it."""
    number, unit = re.fullmatch(r"(\d+)([a-z])i?b?", text.lower()).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1, "g": 1024}[unit]
