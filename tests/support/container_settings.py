"""What docker/compose.yaml gives its services, and the settings that a program in one reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_stack.secret_files import make_secret_files
from settings import SECRETS_VARIABLE, Settings, load_settings
from tests.support.containers import (
    compose,
    image_environment,
)

PORTS = {
    "KAFKA_PORT", "CASSANDRA_PORT", "MONGO_PORT", "POSTGRES_PORT", "CONSOLE_PORT", "S3_PORT",
    "SPARK_PORT", "DASHBOARD_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT",
}  # fmt: skip
SETTINGS = {name.upper() for name in Settings.model_fields}
SERVICES: dict[str, dict[str, Any]] = compose()["services"]


Loaded = Callable[[dict[str, str]], Settings]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """Gives the settings of a program in a container: the image's variables and the service's."""
    make_secret_files(Settings(millrace_home=tmp_path), lambda line: None)
    files = compose(SECRETS_FOLDER=str(tmp_path / "secrets"))["secrets"]
    mounted = tmp_path / "run" / "secrets"
    mounted.mkdir(parents=True)
    for name in SERVICES["job-tickets"]["secrets"]:
        shutil.copy(files[name]["file"], mounted / name)

    def load(environment: dict[str, str]) -> Settings:
        for name, value in (image_environment() | environment).items():
            if name in SETTINGS:
                monkeypatch.setenv(name, value)
        monkeypatch.setenv(SECRETS_VARIABLE, str(mounted))
        return load_settings(env_file=Path("no.env"))

    return load
