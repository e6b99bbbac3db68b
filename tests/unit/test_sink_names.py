"""No code outside `spark_jobs/sinks/` and the list of sinks compares a sink's name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.config.sink_modules import SINK_MODULES
from settings import PROJECT_ROOT, Settings
from spark_jobs.registry import built_in
from spark_jobs.sinks.registry import kinds_of
from tests.unit.test_imports import modules

NAMES = {kind.name for kind in kinds_of(built_in(), Settings(sinks=tuple(SINK_MODULES)))}
# Where sinks are written, and where they are listed.
AT_HOME = ("spark_jobs.sinks", "runtime.config.sink_modules")


def comparisons(source: str) -> list[int]:
    """Lines that choose by a sink's name, literal or by a constant of the module."""
    tree = ast.parse(source)
    constants = {"LEDGER_SINK", *_constants(tree)}

    def names_a_sink(node: ast.AST) -> bool:
        return any(
            (isinstance(each, ast.Constant) and each.value in NAMES)
            or (isinstance(each, ast.Name) and each.id in constants)
            for each in ast.walk(node)
        )

    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.pattern)
        for part in _choices(node)
        if names_a_sink(part)
    ]


def _choices(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node by which something is chosen."""
    # The scheme of an address may be called like a sink.
    if isinstance(node, ast.Compare) and ".scheme" not in ast.unparse(node):
        yield from (node.left, *node.comparators)
    elif isinstance(node, ast.MatchValue):
        yield node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # The default of a mapping's value is no key.
        yield from node.args[:1] if node.func.attr in {"get", "pop"} else ()


def _constants(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        if isinstance(node.value, ast.Constant) and node.value.value in NAMES:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=name) for name, path in modules() if not name.startswith(AT_HOME)],
)
def test_sink_is_not_chosen_by_its_name(path: Path) -> None:
    found = comparisons(path.read_text(encoding="utf-8"))

    assert [f"{path.relative_to(PROJECT_ROOT)}:{line}" for line in found] == []


def test_all_sinks_are_known() -> None:
    assert NAMES == {"cassandra", "files", "postgres", "mongodb", "topics"}


@pytest.mark.parametrize(
    "source",
    [
        'if "postgres" in settings.sinks: pass',
        'x = name == "files"',
        'x = sink not in ("cassandra", "mongodb")',
        'missing = [n for n in ("cassandra", "files") if n in sinks]\ny = n != "topics"',
        'SINK: Final = "topics"\nx = SINK in entry.sinks',
        "x = request.sink == LEDGER_SINK",
        'last = sinks.pop("mongodb", None)',
        'match name:\n    case "files":\n        pass',
    ],
)
def test_choice_by_a_name_is_found(source: str) -> None:
    assert len(comparisons(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "x = sink.name in settings.sinks",
        'x = parts.scheme in {"postgresql", "postgres"}',
        'user = parts.get("user", "postgres")',
        'log = logging.getLogger("cassandra")',
    ],
)
def test_what_is_no_choice_is_let_be(source: str) -> None:
    assert comparisons(source) == []
