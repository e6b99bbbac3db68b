"""Jars: the pinned versions, where they lie, and when they must be fetched again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from errors import StackError
from runtime import jars
from runtime.versions import pinned
from settings import ENV_FILE_VARIABLE, Settings, load_settings
from tests.support.stand_ins import fake_java


def test_unknown_pin_names_the_file() -> None:
    with pytest.raises(StackError, match=r"pyproject\.toml pins no `nope`"):
        pinned("jars", "nope")


def test_jars_lie_where_the_setting_says(tmp_path: Path) -> None:
    prepared = load_settings({"jars_path": tmp_path / "prepared", "millrace_home": tmp_path})
    usual = load_settings({"millrace_home": tmp_path})

    assert jars.folder(prepared, "spark") == tmp_path / "prepared" / "spark"
    assert jars.folder(usual, "spark") == tmp_path / "jars" / "spark"


def test_prepared_jars_of_another_version_that_cannot_be_replaced_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Root may write everywhere, but not below a file.
    (tmp_path / "file").touch()
    monkeypatch.setenv("JARS_PATH", str(tmp_path / "file" / "jars"))
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "17", "").home))
    monkeypatch.setenv(ENV_FILE_VARIABLE, os.devnull)

    code = jars.main(["spark"])

    assert code == 1
    assert "does not have the jars that pyproject.toml pins" in capsys.readouterr().err


def test_jars_of_s3_leave_out_what_spark_has_and_stores_that_are_not_used(
    tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(StackError):
        jars.ensure_jars(settings, ["s3"], lambda line: None, fake_java(tmp_path, "17", "exit 1"))

    asked = (settings.jars / ".s3.partial" / "ivy.xml").read_text()
    assert '<exclude org="org.apache.hadoop" module="hadoop-client-api"/>' in asked
    assert asked.count("<exclude ") == 6


def test_half_fetched_jars_do_not_count(settings: Settings) -> None:
    folder = jars.folder(settings, "kafka")
    folder.mkdir(parents=True)
    coordinates = " ".join(pinned("jars", "kafka"))
    (folder / "a.jar").touch()
    assert not jars.is_complete(settings, "kafka")

    (folder / jars.STAMP_NAME).write_text(f"{coordinates}\na.jar\nb.jar\n")
    assert not jars.is_complete(settings, "kafka")

    (folder / "b.jar").touch()
    assert jars.is_complete(settings, "kafka")


def test_jars_of_another_version_do_not_count(settings: Settings) -> None:
    folder = jars.folder(settings, "kafka")
    folder.mkdir(parents=True)
    (folder / jars.STAMP_NAME).write_text("org.apache.kafka:kafka_2.13:1.0.0\n")

    assert not jars.is_complete(settings, "kafka")


def test_failure_of_ivy_is_reported_with_its_lines(settings: Settings, tmp_path: Path) -> None:
    fake = fake_java(tmp_path, "17", "echo '[NOT FOUND] no route to host'; exit 1")

    with pytest.raises(StackError) as caught:
        jars.ensure_jars(settings, ["kafka"], lambda line: None, fake)

    assert "jars of `kafka` could not be downloaded" in str(caught.value)
    assert "no route to host" in str(caught.value)
    assert not jars.is_complete(settings, "kafka")
