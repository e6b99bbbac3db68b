"""The jar of this project's own Java classes, whatever became of the file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from settings import Settings
from spark_jobs.session import jvm_classes
from spark_jobs.session.jvm_classes import kept_jars


def test_jar_that_is_damaged_anywhere_keeps_no_driver_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = tmp_path / "millrace-0.jar"
    monkeypatch.setattr(jvm_classes, "_place", lambda _: jar)
    settings = Settings(_env_file=None, jars_path=tmp_path)
    with zipfile.ZipFile(jar, "w") as archive:
        for name in ("One", "Two"):
            archive.writestr(f"millrace/spark/{name}.class", name.encode() * 20)
    whole = jar.read_bytes()
    assert kept_jars(settings) == [jar]

    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        jar.write_bytes(damaged)
        # Not every bit matters to those who read it.
        assert kept_jars(settings) in ([], [jar])
    for size in range(len(whole)):
        jar.write_bytes(whole[:size])
        assert kept_jars(settings) == []
