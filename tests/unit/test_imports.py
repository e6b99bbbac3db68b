"""Imports point one way: each room takes only from the rooms above it in `ROOMS`, and no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from settings import PROJECT_ROOT

DECLARATIONS = ("spark_jobs.tickets", "spark_jobs.profiles", "spark_jobs.customers")
# A room is a package, or one module that has a place of its own. Each may import those that stand
# before it; `WITHOUT` says which of them it must not.
ROOMS = (
    *("errors", "runtime.config", "settings", "keys", "runtime", "schemas", "cql", "sql"),
    *("producers", "local_stack"),
    *("spark_jobs.transforms.outcomes", "spark_jobs.aggregates", "spark_jobs.transforms"),
    *("spark_jobs.planned", "spark_jobs.changes", "spark_jobs.summaries", "spark_jobs.targets"),
    *("spark_jobs.columns", "spark_jobs.pipeline"),
    *("millrace", "spark_jobs.session", "spark_jobs.sources", "spark_jobs.state"),
    *("spark_jobs.sinks", "spark_jobs.start_checks", "spark_jobs.run", *DECLARATIONS),
    *("spark_jobs.declaration_parts", "spark_jobs.registry", "spark_jobs.job"),
    *("operations", "operations.verify", "operations.doctor", "operations.show"),
    *("operations.hints", "operations.needs", "operations.repair", "operations.dead_letters"),
    *("operations.trace", "dashboard", "operations.report"),
    *("operations.chaos", "operations.submit", "operations.bench", "operations.pyspark_shell"),
    *("operations.reset", "operations.run_summary", "operations.run", "operations.check"),
    *("operations.trial", "millrace.testing", "millrace.fixtures", "operations.commands"),
    *("operations.options", "operations.cli"),
)
LONGEST_LINES = 400
OUR_OWN = {room.split(".")[0] for room in ROOMS}
# What a room must not import, though it stands before it.
WITHOUT: Mapping[str, tuple[str, ...]] = {
    "schemas": ("cql", "sql"),
    "sql": ("cql",),
    "producers": ("cql", "sql", "schemas.spark", "pyspark", "py4j"),
    "local_stack": ("producers", "pyspark", "py4j"),
    # Pure functions on DataFrames.
    "spark_jobs.transforms": ("settings", "errors", "keys", "runtime", "cql", "sql"),
    # A declaration says what a pipeline is; `run` alone knows what carries it out.
    **{
        each: ("spark_jobs.session", "spark_jobs.sinks", "spark_jobs.state")
        for each in DECLARATIONS
    },
}


def modules() -> Iterator[tuple[str, Path]]:
    roots = [PROJECT_ROOT / f"{name}.py" for name in ("errors", "keys", "settings")]
    folders = {PROJECT_ROOT / room.split(".")[0] for room in ROOMS}
    for path in [*roots, *sorted(p for f in folders if f.is_dir() for p in f.rglob("*.py"))]:
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


def below(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(name: str) -> str | None:
    """The narrowest room that a module, or a name in it, belongs to."""
    return max((room for room in ROOMS if below(name, room)), key=len, default=None)


def faults(module: str, names: set[str]) -> list[str]:
    room = room_of(module)
    if room is None:  # a package's own page
        return sorted(name for name in names if room_of(name) not in (None, "runtime"))
    allowed = ROOMS[: ROOMS.index(room) + 1]
    barred = [*WITHOUT.get(room, ())]
    if room == "local_stack" or room.startswith("spark_jobs"):
        barred += ["producers", "operations"]
    if room.startswith("spark_jobs"):
        barred.append("local_stack")
    return sorted(
        name
        for name in names
        if (name.split(".")[0] in OUR_OWN and name not in OUR_OWN and room_of(name) not in allowed)
        or (name in OUR_OWN and name in ROOMS and name not in allowed)
        or any(below(name, each) for each in barred)
    )


@pytest.mark.parametrize(
    ("module", "path"), [pytest.param(*pair, id=pair[0]) for pair in modules()]
)
def test_imports_point_one_way(module: str, path: Path) -> None:
    assert faults(module, imported(path.read_text(encoding="utf-8"), module)) == []


def test_no_module_is_longer_than_400_lines() -> None:
    paths = [path for _, path in modules()] + [*(PROJECT_ROOT / "tests").rglob("*.py")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}

    assert len(lengths) > 300
    assert {str(path): lines for path, lines in lengths.items() if lines > LONGEST_LINES} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = dict(modules())
    graph = {
        module: {name for name in imported(path.read_text(), module) if name in found} - {module}
        for module, path in found.items()
        if path.name != "__init__.py"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("producers.tickets", "from schemas import spark", ["schemas.spark"]),
        ("producers.tickets", "def f():\n    import pyspark.sql", ["pyspark.sql"]),
        (
            "spark_jobs.session.session",
            "from local_stack.stack import up",
            ["local_stack.stack", "local_stack.stack.up"],
        ),
        ("spark_jobs.run.job", "import local_stack.kafka", ["local_stack.kafka"]),
        ("spark_jobs.run.job", "import runtime.java", []),
        ("runtime.java", "import local_stack.ports", ["local_stack.ports"]),
        ("schemas.spark", "import producers.tickets", ["producers.tickets"]),
        ("settings", "import schemas", ["schemas"]),
        ("spark_jobs.run.job", "from operations import cli", ["operations", "operations.cli"]),
        ("spark_jobs.transforms.age", "import settings", ["settings"]),
        (
            "spark_jobs.transforms.age",
            "from ..session import build",
            ["spark_jobs.session", "spark_jobs.session.build"],
        ),
        ("spark_jobs.transforms.age", "from spark_jobs.transforms import parse", []),
        ("spark_jobs.pipeline", "import spark_jobs.sinks.base", ["spark_jobs.sinks.base"]),
        ("spark_jobs.pipeline", "import spark_jobs.session.tls", ["spark_jobs.session.tls"]),
        ("spark_jobs.pipeline", "import spark_jobs.state.ledger", ["spark_jobs.state.ledger"]),
        ("spark_jobs.customers", "import spark_jobs.sinks.topics", ["spark_jobs.sinks.topics"]),
        ("spark_jobs.sinks.base", "import spark_jobs.tickets", ["spark_jobs.tickets"]),
        ("operations.verify.rows", "import operations.repair.plan", ["operations.repair.plan"]),
        ("operations.cli", "import producers.tickets, spark_jobs.run.job, rich", []),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str, expected: list[str]) -> None:
    assert faults(module, imported(source, module)) == expected
