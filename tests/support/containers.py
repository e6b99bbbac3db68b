"""The files of the containers as a reader of them sees them: compose, image, what goes into it."""

from __future__ import annotations

import re
import shlex
import shutil
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from settings import PROJECT_ROOT

COMPOSE_FILE = PROJECT_ROOT / "docker" / "compose.yaml"
DOCKERFILE = PROJECT_ROOT / "docker" / "images" / "millrace" / "Dockerfile"
# `${NAME}`, `${NAME:-default}`, `${NAME-default}`.
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::?-([^}]*))?\}")


def compose_text() -> str:
    """compose.yaml without its comments."""
    lines = COMPOSE_FILE.read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def compose(**variables: str) -> dict[str, Any]:
    """The compose file with its variables replaced, as Compose does it: after it was parsed."""

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: replaced(each) for name, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        if isinstance(value, str):
            return VARIABLE.sub(lambda found: variables.get(found[1], found[2] or ""), value)
        return value

    whole: dict[str, Any] = replaced(_parsed())
    return whole


@cache
def _parsed() -> Any:
    return yaml.safe_load(COMPOSE_FILE.read_text())


def own_services(**variables: str) -> dict[str, dict[str, Any]]:
    """Services that run the project's own image."""
    services: dict[str, dict[str, Any]] = compose(**variables)["services"]
    return {name: s for name, s in services.items() if s["image"].startswith("millrace:")}


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile and what follows them, continued lines joined."""
    lines = [
        line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Instructions of each stage of the Dockerfile; the last has the name `image`."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for instruction, rest in instructions():
        if instruction == "FROM":
            name = rest.partition(" AS ")[2] or "image"
            found[name] = []
        elif name:
            found[name].append((instruction, rest))
    return found


def run_of(stage: str, part: str) -> str:
    """The command of a stage that contains some text."""
    (command,) = [rest for name, rest in stages()[stage] if name == "RUN" and part in rest]
    return command


def base_images() -> set[str]:
    """Images from which the Dockerfile's stages start."""
    begun = [rest.partition(" AS ") for name, rest in instructions() if name == "FROM"]
    return {image for image, _, _ in begun} - {stage for _, _, stage in begun}


def image_environment() -> dict[str, str]:
    """Variables that the image sets: those of its last stage."""
    variables: dict[str, str] = {}
    for name, rest in instructions():
        if name == "FROM":
            variables = {}
        elif name == "ENV":
            variables |= dict(word.split("=", 1) for word in shlex.split(rest))
    return variables


def context_files() -> list[Path]:
    """Files that Docker sends to a build, relative to the project: `.dockerignore` applied."""
    patterns = [
        line
        for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    # Folders that Docker would not enter either; they are large.
    tops = [p for p in PROJECT_ROOT.iterdir() if not _is_ignored(Path(p.name), patterns)]
    files = [f for top in tops for f in ([top] if top.is_file() else top.rglob("*"))]
    relative = [f.relative_to(PROJECT_ROOT) for f in files if f.is_file()]
    return sorted(path for path in relative if not _is_ignored(path, patterns))


def copy_context(target: Path) -> None:
    """What `COPY . .` lays into the image."""
    for path in context_files():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_ROOT / path, target / path)


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    """The last pattern that matches the path or a folder above it decides."""
    ignored = False
    names = [str(path), *(str(above) for above in path.parents if str(above) != ".")]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        # `**/` stands for any number of folders, also none.
        forms = (wanted, wanted.removeprefix("**/"))
        if any(fnmatch(name, form) for name in names for form in forms):
            ignored = not pattern.startswith("!")
    return ignored
