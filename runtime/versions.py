"""Reads from pyproject.toml the pinned versions of what pip does not install with the rest."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import metadata
from typing import Any

from errors import StackError
from settings import PROJECT_ROOT


@cache
def _pyproject() -> dict[str, Any]:
    with (PROJECT_ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def pinned_packages(*extras: str) -> dict[str, str]:
    """Python package -> the version that pyproject.toml pins.

    Args:
        extras: Optional dependencies to add, such as `embedded`.
    """
    project = _pyproject()["project"]
    requirements: list[str] = [*project["dependencies"]]
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    pairs = (requirement.partition("==") for requirement in requirements)
    return {name: version for name, _, version in pairs}


def installed_version(name: str) -> str | None:
    """The installed version of a Python package, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def pinned(section: str, name: str) -> tuple[str, ...]:
    """Coordinates that `[tool.millrace.<section>]` of pyproject.toml pins under `name`.

    Args:
        section: `jars` (Maven coordinates), `unused` (Maven modules excluded from a group),
            `python` (requirements) or `npm` (packages).
        name: The group or tool, such as `spark`, `java`, `mongosh`.

    Raises:
        StackError: pyproject.toml pins nothing with that name.
    """
    try:
        value = _pyproject()["tool"]["millrace"][section][name]
    except KeyError:
        raise StackError(
            f"pyproject.toml pins no `{name}` in `[tool.millrace.{section}]`."
            " The checkout is incomplete: `git checkout pyproject.toml` restores the file."
        ) from None
    return (value,) if isinstance(value, str) else tuple(value)
