"""Pages, .env.example, lock files and compose say what the code says."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from local_stack import bootstrap
from operations.doctor.doctor import CHECKS
from operations.options import build_parser
from settings import PROJECT_ROOT, Settings
from spark_jobs.state.fault_points import FAULT_POINTS

SETTINGS_PAGE = (PROJECT_ROOT / "docs" / "settings.md").read_text()
DOCTOR_PAGE = (PROJECT_ROOT / "docs" / "doctor.md").read_text()
GUARANTEES = (PROJECT_ROOT / "docs" / "guarantees.md").read_text()
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text()
PACKAGES = ("cql", "local_stack", "operations", "producers", "runtime", "spark_jobs", "sql")
PYPROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())


def shown_default(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_settings_table_is_the_code() -> None:
    expected = [
        f"| `{name.upper()}` | {shown_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]

    found = [line for line in SETTINGS_PAGE.splitlines() if re.match(r"\| `[A-Z0-9_]+`", line)]
    assert found == expected


def test_env_example_names_every_setting_with_its_default() -> None:
    text = (PROJECT_ROOT / ".env.example").read_text()
    found = dict(re.findall(r"^#? ?([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))

    expected = {
        name.upper(): shown_default(field.default).strip("`")
        for name, field in Settings.model_fields.items()
    }
    assert found == expected


def test_what_troubleshooting_quotes_is_what_the_code_says() -> None:
    section = DOCTOR_PAGE.split("## Troubleshooting")[1]
    cells = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
    quoted = [each for cell in cells for each in re.findall(r"`([^`]+)`", cell)]
    code = "\n".join(
        path.read_text() for folder in PACKAGES for path in (PROJECT_ROOT / folder).rglob("*.py")
    )

    assert len(quoted) > 8
    for part in (piece.strip(" ,") for each in quoted for piece in each.split("…")):
        assert part in code, part


def test_doctor_page_explains_every_line() -> None:
    section = DOCTOR_PAGE.split("## Doctor\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)

    explained = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(explained) == sorted(name for check in CHECKS for name in check.names)


def test_every_make_target_has_its_millrace_command() -> None:
    used = set(re.findall(r"\$\(MILLRACE\) ([a-z-]+)", MAKEFILE))
    help_text = build_parser().format_help()

    for command in used:
        assert re.search(rf"^    {command} ", help_text, re.MULTILINE), command


def test_every_test_that_the_guarantees_name_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", GUARANTEES))
    tests = "\n".join(path.read_text() for path in (PROJECT_ROOT / "tests").rglob("test_*.py"))
    written = set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))

    assert len(named) > 20
    assert named - written == set()


def test_guarantees_explain_every_fault_point_in_order() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", GUARANTEES, re.MULTILINE)

    assert tuple(rows) == FAULT_POINTS


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        (bootstrap.JOBS_LOCK, []),
        (bootstrap.LOCK, ["embedded"]),
        (bootstrap.DEV_LOCK, ["embedded", "dev"]),
    ],
)
def test_lock_files_hold_the_pinned_versions_with_hashes(lock: str, extras: list[str]) -> None:
    text = (PROJECT_ROOT / lock).read_text()
    optional = PYPROJECT["project"]["optional-dependencies"]
    wanted = [
        *PYPROJECT["project"]["dependencies"],
        *(requirement for extra in extras for requirement in optional[extra]),
    ]

    # What comes with options of its own, `moto[server]`, is locked without them.
    for requirement in (re.sub(r"\[.*?\]", "", each) for each in wanted):
        assert re.search(rf"^{re.escape(requirement)} .*\n +--hash=sha256:", text, re.MULTILINE)


def test_jobs_do_without_what_only_the_embedded_stack_starts() -> None:
    text = (PROJECT_ROOT / bootstrap.JOBS_LOCK).read_text()

    assert not re.findall(r"^(?:secantusdb|shapely|s2sphere|future)==", text, re.MULTILINE)


def test_compose_runs_the_versions_of_the_embedded_stack() -> None:
    compose = (PROJECT_ROOT / "docker" / "compose.yaml").read_text()
    (cassandra,) = PYPROJECT["tool"]["millrace"]["jars"]["cassandra"]

    assert f"image: cassandra:{cassandra.rpartition(':')[2]}" in compose
    images = re.findall(r"image: (\S+)", compose)
    assert len(images) >= 4
    assert all(re.search(r":v?\d+\.\d+", image) for image in images)


def test_connectors_are_built_for_the_scala_of_spark() -> None:
    for coordinate in PYPROJECT["tool"]["millrace"]["jars"]["spark"]:
        # The JDBC driver is Java alone.
        assert "_2.12:" in coordinate or coordinate.startswith("org.postgresql:postgresql:")


def test_pre_commit_runs_what_make_lint_runs_and_downloads_nothing() -> None:
    (recipe,) = re.findall(r"^lint: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    steps = [line.removeprefix("\t@") for line in recipe.splitlines()]
    (source,) = yaml.safe_load((PROJECT_ROOT / ".pre-commit-config.yaml").read_text())["repos"]

    assert source["repo"] == "local"
    assert [hook["entry"] for hook in source["hooks"]] == steps
    assert {hook["language"] for hook in source["hooks"]} == {"system"}
    assert len(steps) >= 4
