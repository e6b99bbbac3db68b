"""Names given to `make` that only a slip of the pen can be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from errors import SettingsError
from operations.make_names import refuse_misspelt
from settings import PROJECT_ROOT, Settings


def handed_over(tmp_path: Path, *words: str) -> dict[str, str]:
    """What the Makefile gives a command of its own."""
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"include {PROJECT_ROOT}/Makefile\nshown:\n\t@env\n")
    command = ["make", "--no-print-directory", "-f", str(makefile), "shown", *words]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("PIPELIN=x", "PIPELINE"), ("pipeline=x", "PIPELINE"), ("TICKET=10", "TICKETS")],
)
def test_misspelt_name_is_refused_with_the_one_that_was_meant(
    given: str, meant: str, tmp_path: Path
) -> None:
    environment = handed_over(tmp_path, given, "YES=1")

    with pytest.raises(SettingsError, match=f"Did you mean `{meant}=`") as refused:
        refuse_misspelt(environment, Settings.model_fields)

    assert "Nothing was changed." in str(refused.value)


def test_values_settings_and_other_variables_are_taken(tmp_path: Path) -> None:
    statement = "CQL=SELECT x; -- $(y) WHERE team=4 AND tickets=5"
    words = (statement, "PIPELINE=tickets", "PIPELINES=orders", "SINKS=files", "TMPDIR=/tmp")

    environment = handed_over(tmp_path, *words)

    refuse_misspelt(environment, Settings.model_fields)


@pytest.mark.parametrize("by", ["command line", "environment"])
def test_reset_of_an_empty_pipeline_is_refused(by: str) -> None:
    words = ["PIPELINE="] if by == "command line" else []
    environment = os.environ | ({} if words else {"PIPELINE": ""})

    # Nothing is set up or started: the recipe's first line refuses.
    done = subprocess.run(
        ["make", "--old-file=setup", "reset", *words],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "PIPELINE= is empty: name one, or leave it out for all." in done.stderr
