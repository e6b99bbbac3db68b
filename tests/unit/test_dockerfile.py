"""The image: its versions are the project's, and it holds what jobs need and nothing else."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

from runtime.java import JAVA_VERSION
from runtime.versions import pinned
from settings import PROJECT_ROOT
from tests.support.container_settings import SERVICES, Loaded
from tests.support.containers import (
    DOCKERFILE,
    context_files,
    image_environment,
    instructions,
    own_services,
    stages,
)

PYPROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())


def linter_says(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_dockerfile_has_no_fault_that_the_linter_knows(tmp_path: Path) -> None:
    broken = tmp_path / "Dockerfile"
    broken.write_text("FROM python:latest\nRUN cd /tmp && apt-get install x\n")

    report = linter_says(DOCKERFILE)
    assert (report.returncode, report.stdout) == (0, "")
    assert "DL3007" in linter_says(broken).stdout


def test_image_is_of_the_version_and_the_pins_of_the_project(loaded: Loaded) -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    java, *pythons = [base for base in bases if base not in stages()]
    settings = loaded(SERVICES["prepare"]["environment"])

    assert {s["image"] for s in own_services().values()} == {
        f"millrace:{PYPROJECT['project']['version']}"
    }
    assert java.startswith(f"eclipse-temurin:{JAVA_VERSION}.0.")
    (python,) = {re.match(r"python:(3\.\d+)\.\d+-slim", base)[1] for base in pythons}  # type: ignore[index]
    assert f"python{python}" in image_environment()["SPARK_HOME"]
    assert python in ("3.11", "3.12")
    assert str(settings.jars) == "/opt/millrace/jars"
    (fetching,) = [rest for _, rest in instructions() if "runtime.jars" in rest]
    assert fetching.endswith('[".venv/bin/python", "-m", "runtime.jars", "spark", "s3"]')
    assert all(pinned("jars", group) for group in ("spark", "s3"))
    moto = next(d for d in PYPROJECT["project"]["optional-dependencies"]["dev"] if "moto" in d)
    assert SERVICES["s3"]["image"].rpartition(":")[2] == moto.rpartition("==")[2]


def test_image_installs_what_jobs_need_and_nothing_of_the_embedded_stack() -> None:
    set_ups = [rest for name, rest in instructions() if name == "RUN" and "bootstrap.py" in rest]

    assert len(set_ups) == 1
    assert '"--jobs-only", "--packages-only"' in set_ups[0]


def test_image_runs_as_an_unprivileged_user() -> None:
    users = [rest for name, rest in instructions() if name == "USER"]

    assert users == ["10001:10001"]
    # A name for Hadoop, made without the day's date, which `useradd` writes.
    assert "echo 'millrace:x:10001:10001::/var/lib/millrace:" in DOCKERFILE.read_text()
    assert "RUN useradd" not in DOCKERFILE.read_text()
    assert all("user" not in service for service in own_services().values())


def test_everything_that_the_image_copies_is_sent_to_the_build() -> None:
    sent = {str(path) for path in context_files()}
    copied = [shlex.split(rest)[:-1] for name, rest in instructions() if name == "COPY"]
    sources = {s for sources in copied for s in sources if not s.startswith(("--", "/opt", "."))}

    assert sources == {
        "pyproject.toml", "requirements.lock", "local_stack/bootstrap.py",
        "errors.py", "settings.py", "runtime",
    }  # fmt: skip
    assert sources <= sent | {Path(file).parts[0] for file in sent}


def test_only_the_code_is_sent_to_the_build() -> None:
    sent = context_files()
    folders = {path.parts[0] for path in sent if len(path.parts) > 1}

    assert folders == {name.split(".")[0] for name in PYPROJECT["tool"]["setuptools"]["packages"]}
    assert {str(path) for path in sent if len(path.parts) == 1} == {
        "LICENSE", "NOTICE", "README.md", "pyproject.toml", "requirements.lock",
        "errors.py", "keys.py", "settings.py",
    }  # fmt: skip
    assert Path("spark_jobs/session/log4j2.properties") in sent
    assert not [path for path in sent if "__pycache__" in path.parts]
