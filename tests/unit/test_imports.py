"""One way: settings, remedies <- schemas, cql, sql <- producers, jobs, stack <- operations."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import PROJECT_ROOT

# Standard library alone, and first of all: anyone may import it.
SURROUNDINGS = "local_stack.surroundings"
PACKAGES = ("cql", "sql", "schemas", "producers", "spark_jobs", "local_stack", "operations")
BASE = {"settings", "remedies"}
# What each part may import of this project, besides itself.
ALLOWED: dict[str, set[str]] = {
    "settings": set(),
    "remedies": {"settings"},
    "cql": BASE,
    "sql": BASE,
    "schemas": BASE,
    "producers": BASE | {"schemas"},
    "spark_jobs": BASE | {"schemas", "cql", "sql"},
    "local_stack": BASE | {"schemas", "cql", "sql"},
    "operations": BASE | {"schemas", "cql", "sql", "producers", "spark_jobs", "local_stack"},
}
# A driver needs Java and the connectors, which only the set-up can find or fetch.
EXCEPTIONS = {
    "spark_jobs.class_archive": ("local_stack.java",),
    "spark_jobs.session": tuple(f"local_stack.{m}" for m in ("jars", "java", "versions")),
    "spark_jobs.stores": ("local_stack.versions",),
}


def modules() -> Iterator[tuple[str, Path]]:
    for name in ("settings", "remedies"):
        yield name, PROJECT_ROOT / f"{name}.py"
    for package in PACKAGES:
        for path in sorted((PROJECT_ROOT / package).rglob("*.py")):
            parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path


def imported(source: str, module: str) -> set[str]:
    """Full names of all that a module imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def faults(module: str, names: set[str]) -> list[str]:
    part = module.split(".")[0]
    excepted = (*EXCEPTIONS.get(module, ()), SURROUNDINGS)
    names = {n for n in names if not n.startswith(excepted)}
    wrong = {
        name
        for name in names
        if name.split(".")[0] in ALLOWED and name.split(".")[0] not in ALLOWED[part] | {part}
    }
    if part == "producers":
        wrong |= {n for n in names if n.startswith(("schemas.spark", "pyspark", "py4j"))}
    if module == "schemas.contract":
        wrong |= {name for name in names if name.startswith(("pyspark", "schemas.spark"))}
    if module.startswith("spark_jobs.transforms"):
        ours = ("schemas", "spark_jobs.transforms")
        wrong |= {
            name
            for name in names
            if name.split(".")[0] in ALLOWED and name != "spark_jobs" and not name.startswith(ours)
        }
    return sorted(wrong)


@pytest.mark.parametrize(
    ("module", "path"), [pytest.param(*pair, id=pair[0]) for pair in modules()]
)
def test_imports_point_one_way(module: str, path: Path) -> None:
    assert faults(module, imported(path.read_text(encoding="utf-8"), module)) == []


def test_surroundings_need_nothing_but_python() -> None:
    names = imported((PROJECT_ROOT / "local_stack" / "surroundings.py").read_text(), SURROUNDINGS)

    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("producers.tickets", "from schemas import spark", ["schemas.spark"]),
        ("producers.tickets", "def f():\n    import pyspark.sql", ["pyspark.sql"]),
        (
            "spark_jobs.session",
            "from local_stack.stack import up",
            ["local_stack.stack", "local_stack.stack.up"],
        ),
        ("spark_jobs.job", "import local_stack.java", ["local_stack.java"]),
        ("schemas.spark", "import producers.tickets", ["producers.tickets"]),
        ("settings", "import schemas", ["schemas"]),
        ("spark_jobs.job", "from operations import cli", ["operations", "operations.cli"]),
        ("spark_jobs.transforms.age", "import settings", ["settings"]),
        (
            "spark_jobs.transforms.age",
            "from ..session import build",
            ["spark_jobs.session", "spark_jobs.session.build"],
        ),
        ("spark_jobs.transforms.age", "from spark_jobs.transforms import parse", []),
        ("operations.cli", "import producers.tickets, spark_jobs.job, rich", []),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str, expected: list[str]) -> None:
    assert faults(module, imported(source, module)) == expected
