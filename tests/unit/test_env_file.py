"""The file of settings: which one counts, and what it may not be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, load_settings


def test_children_in_another_folder_read_the_same_relative_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.env").write_text("KAFKA_BOOTSTRAP_SERVERS=broker:1\n")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv(ENV_FILE_VARIABLE, "my.env")
    monkeypatch.chdir(tmp_path)
    program = "import settings; print(settings.load_settings().kafka_bootstrap_servers)"

    assert load_settings().kafka_bootstrap_servers == "broker:1"
    child = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert child.stdout == "broker:1\n"
