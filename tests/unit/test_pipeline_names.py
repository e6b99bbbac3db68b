"""Only a built-in pipeline's own modules know its name: all others serve any pipeline."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.config.pipeline_folders import BUILT_IN
from settings import PROJECT_ROOT

# Also inside other words, such as TICKETS_RATE and `client_tickets`, and in the singular.
NAMED = re.compile(rf"\w*(?:{'|'.join(name.removesuffix('s') for name in BUILT_IN)})\w*", re.I)
ELSEWHERE = ("tests/", "docs/", "examples/", "producers/")
OWN = {
    *(f"spark_jobs/{name}.py" for name in BUILT_IN),
    *(f"spark_jobs/transforms/{name}.py" for name in (*BUILT_IN, "age", "routing")),
    # The one list of them, their settings, and the load of the benchmarks.
    "runtime/config/pipeline_folders.py",
    "runtime/config/pipeline_settings.py",
    "operations/bench/workload.py",
}
# The same words in another sense.
FRIENDS = {
    # Of Cassandra's driver.
    "cql/access.py": {"profile", "ExecutionProfile"},
    "cql/client.py": {"profile", "EXEC_PROFILE_DEFAULT", "execution_profiles"},
    # Of Docker Compose.
    "local_stack/compose.py": {"profile", "profiles"},
    # Words of personal data and of ids, in any user's records.
    "operations/new/personal.py": {"customer"},
    "operations/new/words.py": {"customer"},
}


def sources() -> Iterator[Path]:
    """The project's tracked modules that must serve any pipeline."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        if not name.startswith(ELSEWHERE) and name not in OWN and (PROJECT_ROOT / name).is_file():
            yield Path(name)


def words_in(text: str) -> set[str]:
    """The words of a source that name a built-in pipeline."""
    return set(NAMED.findall(text))


def test_no_module_but_a_pipelines_own_names_it() -> None:
    found = {
        f"{path}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate((PROJECT_ROOT / path).read_text("utf-8").splitlines(), 1)
        if words_in(line) - FRIENDS.get(str(path), set())
    }

    assert found == set()


def test_own_modules_and_friends_are_still_there() -> None:
    assert {name for name in OWN if not (PROJECT_ROOT / name).is_file()} == set()
    for name, friends in FRIENDS.items():
        assert words_in((PROJECT_ROOT / name).read_text("utf-8")) == friends, name


def test_all_packages_were_searched() -> None:
    searched = {path.parts[0] for path in sources()}

    packages = {path.parent.name for path in PROJECT_ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "producers"} <= searched
    assert len(list(sources())) > 250


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from producers.tickets import main", {"tickets"}),
        ("WARM_TICKETS = 20_000", {"WARM_TICKETS"}),
        ('update={"customers_usa_topic": name}', {"customers_usa_topic"}),
        ("class ProfileSourceError(Exception):", {"ProfileSourceError"}),
        ('"SELECT * FROM usersprofilespace.t"', {"usersprofilespace"}),
        ("for pipeline in pipelines_of(settings):", set()),
    ],
)
def test_a_name_is_found_inside_other_words(line: str, expected: set[str]) -> None:
    assert words_in(line) == expected
