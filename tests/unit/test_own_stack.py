"""The settings of a stack that a command starts for itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from operations import own_stack
from settings import ENV_FILE_VARIABLE, Settings
from spark_jobs.pipeline import Input, Pipeline
from spark_jobs.registry import built_in


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back afterwards what the command exports and removes."""
    monkeypatch.setenv(ENV_FILE_VARIABLE, "")
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")


def own(settings: Settings, monkeypatch: pytest.MonkeyPatch, *pipelines: Pipeline) -> Settings:
    monkeypatch.setattr(own_stack, "pipelines_of", lambda _: pipelines)
    return own_stack.own_settings(settings, "bench", "measures", SINKS="files")


def test_no_producer_of_a_stack_of_its_own_calls_the_internet(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = own(settings, monkeypatch, *built_in())

    assert (settings.profiles_source, made.profiles_source) == ("auto", "offline")
    assert made.millrace_home == settings.millrace_home / "bench"
    assert made.sinks == ("files",)


@pytest.mark.parametrize("folder", ["C #1", "it's \\ 'here'", ' "x" '])
def test_folder_with_any_character_is_the_same_for_the_stack(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    changes = {"millrace_home": tmp_path / folder, "pipelines_path": tmp_path / folder / "own"}

    made = own(settings.model_copy(update=changes), monkeypatch)

    assert made.millrace_home == tmp_path / folder / "bench"
    assert made.output_path == str(tmp_path / folder / "bench" / "output")
    assert made.pipelines_path == tmp_path / folder / "own"


def test_each_pipeline_says_how_its_producer_stays_offline(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Input("producers.generated", offline={"TICKETS_COUNT": "7"})

    made = own(settings, monkeypatch, replace(built_in()[0], made_by=source))

    assert (made.tickets_count, made.profiles_source) == (7, "auto")
