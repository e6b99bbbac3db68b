"""Every command that messages of the code offer, found in its sources."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from settings import PROJECT_ROOT

FOLDERS = (
    "cql", "local_stack", "operations", "producers", "runtime", "schemas", "spark_jobs", "sql",
)  # fmt: skip
BEGINS_LIKE_A_COMMAND = re.compile(
    r"(?:[A-Z_]+=\S* )*(?:\.venv/bin/|millrace\b|make\b|python\b|--[a-z])"
)
# What stands for the values of a text that is put together at run time.
SAMPLES = {
    "endpoint.service": "kafka",
    "state.name": "kafka",
    "store.lower()": "cassandra",
    "producer.name": "tickets",
    "command": "bench",
    "len(played)": "20",
    "seed": "7",
    "remedies.MILLRACE": ".venv/bin/millrace",
    "options.action": "list",
}


@dataclass(frozen=True)
class Offered:
    """A command or an option in a text for users, and where it is in the sources."""

    where: str
    text: str


def offered() -> Iterator[Offered]:
    """Commands and options between backquotes, those that `remedies.py` builds left out."""
    paths = [
        *PROJECT_ROOT.glob("*.py"),
        *(p for f in FOLDERS for p in (PROJECT_ROOT / f).rglob("*.py")),
    ]
    for path in sorted(paths):
        for line, text in _texts(ast.parse(path.read_text())):
            for piece in re.findall(r"`([^`]+)`", text):
                if BEGINS_LIKE_A_COMMAND.match(piece):
                    yield Offered(f"{path.relative_to(PROJECT_ROOT)}:{line}", piece)


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """String literals with their line, docstrings left out; `{…}` where values are put in."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            left_out.add(id(first.value))
        elif isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(map(_part, node.values))


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.FormattedValue):
        expression = ast.unparse(node.value)
        return SAMPLES.get(expression, f"{{{expression}}}")
    assert isinstance(node, ast.Constant)
    return str(node.value)


def words_given_by_make(command: str) -> list[str]:
    """The words with which the Makefile calls `millrace` for a command, as a shell takes it."""
    program = f"{sys.executable} -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
    done = subprocess.run(
        ["/bin/sh", "-c", f'{command} PYTHON=true MILLRACE="$PROGRAM"'],
        cwd=PROJECT_ROOT,
        env={"PATH": "/usr/bin:/bin", "PROGRAM": program},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    words: list[str] = json.loads(done.stdout)
    return words


def make_targets() -> set[str]:
    text = Path(PROJECT_ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z0-9-]+):.*## ", text, re.MULTILINE))
