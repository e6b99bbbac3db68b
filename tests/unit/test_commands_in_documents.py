"""Every command and option that a page names is there."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from operations.options import build_parser
from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, SECRETS_VARIABLE, Settings
from spark_jobs.run import command as jobs
from tests.support.manifests import written_names
from tests.support.vocabulary import documents

MAKEFILE = (PROJECT_ROOT / "Makefile").read_text()
TARGETS = dict(
    re.findall(r"^([a-z0-9-]+):[^\n=]*## [^\n]*\n((?:\t[^\n]*\n)*)", MAKEFILE, re.MULTILINE)
)
VARIABLES = {name.upper() for name in Settings.model_fields} | {ENV_FILE_VARIABLE, SECRETS_VARIABLE}
PAGES = [path for path in documents() if path.suffix == ".md"]
# Options of other programs that the pages name.
OPTIONS_OF_OTHERS = {"--deploy-mode", "--from-env-file", "--properties-file", "--py-files"}
PIPELINES = ("tickets", "profiles", "customers")
# Commands of kubectl -> those of their options that the pages name.
KUBECTL = {
    "apply": {"--kustomize"},
    "create job": {"--from"},
    "create secret generic": {"--from-file", "--type"},
    "delete": {"--field-selector", "--selector"},
    "get": {"--output", "--selector"},
    "logs": {"--follow"},
    "rollout restart": {"--selector"},
    "wait": {"--for", "--timeout"},
}


class ParsedError(Exception):
    """The arguments were understood; nothing more is run."""


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[argparse.ArgumentParser]:
    """Let command lines end once they are understood; gives the parsers that did so."""
    parsers: list[argparse.ArgumentParser] = []
    parse = argparse.ArgumentParser.parse_args

    def parse_only(self: argparse.ArgumentParser, *arguments: Any) -> None:
        parse(self, *arguments)
        parsers.append(self)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    return parsers


def command_lines() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip():
                    yield page, line


LINES = list(command_lines())


def check_make(words: list[str]) -> None:
    targets = [word for word in words if "=" not in word]
    assert len(targets) <= 1
    recipe = TARGETS[targets[0]] if targets else ""
    for name in (word.partition("=")[0] for word in words if "=" in word):
        assert re.search(rf"ARG_{name}\b", recipe), name


def check_kubectl(words: list[str]) -> None:
    verb = max((each for each in KUBECTL if words[: each.count(" ") + 1] == each.split()), key=len)
    rest = words[verb.count(" ") + 1 :]
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= KUBECTL[verb], verb
    known = {name.lower() for name in written_names()} | {"job/prepare", "job/verify-now"}
    known |= {f"statefulset/job-{name}" for name in PIPELINES}
    known |= {"docker/kubernetes", "app.kubernetes.io/part-of=millrace"}
    known |= {"app.kubernetes.io/component=executor", "kubernetes.io/dockerconfigjson"}
    named = {re.sub(r"^--(from|type)=", "", word) for word in rest if "/" in word}
    assert named <= known


def run_module(module: str, arguments: list[str]) -> None:
    if module.startswith("spark_jobs."):
        importlib.import_module(module)
        jobs.main([], arguments)
    else:
        importlib.import_module(module).main(arguments)


@pytest.mark.parametrize(
    ("page", "line"),
    [pytest.param(page, line, id=f"{page.name}: {line[:60]}") for page, line in LINES],
)
def test_command_is_understood(
    page: Path, line: str, parsed: list[argparse.ArgumentParser]
) -> None:
    words = shlex.split(line, comments=True)
    while "=" in words[0]:
        assert words.pop(0).partition("=")[0] in VARIABLES
    match words:
        case ["make", *rest]:
            check_make(rest)
        case [".venv/bin/millrace", *rest]:
            with pytest.raises(ParsedError):
                millrace(rest)
        case [".venv/bin/python", "-m", "pytest", path]:
            assert (PROJECT_ROOT / path).exists()
        case [".venv/bin/python", "-m", module, *rest]:
            with pytest.raises(ParsedError):
                run_module(module, rest)
        case ["spark-submit", *rest]:
            files = [word for word in rest if word.endswith((".py", ".conf"))]
            assert len(files) == 2
            assert all((PROJECT_ROOT / file).is_file() for file in files)
        case [".", ".venv/bin/activate"]:
            pass
        # `test_commands_of_the_deployment_page_exist` looks at these.
        case ["docker", "compose", *_]:
            assert page.name in {"deployment.md", "dashboard.md"}
        case ["kubectl", *rest]:
            check_kubectl(rest)
        case _:
            pytest.fail(f"{page.name} names a command that this test does not know: {line}")


@pytest.mark.parametrize("command", KUBECTL)
def test_kubectl_has_the_options_that_the_pages_name(command: str) -> None:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    said = subprocess.run(
        ["kubectl", *command.split(), "--help"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip

    assert KUBECTL[command] <= set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", said, re.MULTILINE))


def test_an_option_that_kubectl_does_not_have_is_found() -> None:
    with pytest.raises(AssertionError, match="create job"):
        check_kubectl(["create", "job", "verify-now", "--form=cronjob/verify"])
    with pytest.raises(AssertionError):
        check_kubectl(["logs", "--follow", "statefulset/tickets"])


def test_readme_names_the_main_commands() -> None:
    lines = [shlex.split(line, comments=True) for page, line in LINES if page.name == "README.md"]

    assert {"run", "test", "status", "show", "verify", "doctor", "reset", "down"} <= {
        words[1] for words in lines
    }


def help_of(command: Callable[[list[str]], object], *words: str) -> str:
    """What a command line answers to --help."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        command([*words, "--help"])
    return output.getvalue()


def millrace(arguments: list[str]) -> None:
    build_parser().parse_args(arguments)


def subcommands(text: str) -> list[str]:
    return re.findall(r"^    ([a-z-]+)(?: |$)", text, re.MULTILINE)


def inline_code() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for code in re.findall(r"`([^`]+)`", text):
            yield page.name, " ".join(code.split())


def test_commands_inside_sentences_are_there() -> None:
    commands = subcommands(help_of(millrace))
    seen = 0
    for page, code in inline_code():
        code = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", code)
        if found := re.match(r"make ([a-z][a-z0-9-]*)", code):
            assert found[1] in TARGETS, f"{page}: {code}"
        elif found := re.match(r"(?:\.venv/bin/)?millrace ([a-z-]+)", code):
            assert found[1] in commands, f"{page}: {code}"
        elif found := re.match(r"python -m ([a-z_.]+)", code):
            file = PROJECT_ROOT / (found[1].replace(".", "/") + ".py")
            assert file.is_file(), f"{page}: {code}"
        else:
            continue
        seen += 1
    assert seen > 100


def test_options_inside_sentences_are_there() -> None:
    modules = [f"{package}.{name}" for package in ("producers", "spark_jobs") for name in PIPELINES]
    helps = [help_of(partial(run_module, module)) for module in modules]
    for command in subcommands(help_of(millrace)):
        helps.append(help_of(millrace, command))
        helps += [help_of(millrace, command, action) for action in subcommands(helps[-1])]
    known = set(re.findall(r"--[a-z-]+", "\n".join(helps))) | OPTIONS_OF_OTHERS

    found = [(page, re.match(r"--[a-z-]+", code)) for page, code in inline_code()]
    named = [(page, option[0]) for page, option in found if option]
    assert len(helps) >= 25
    assert len(named) > 30
    assert [pair for pair in named if pair[1] not in known] == []
