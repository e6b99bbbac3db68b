"""What a command says while it works, where it has no terminal."""

from __future__ import annotations

import time

import pytest

from operations import activity
from operations.activity import showing, shown


def test_what_lasts_is_written_now_and_then_to_standard_error_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "PLAIN_EVERY_SECONDS", 0.05)
    with shown() as activities, activities.doing("verify: reads") as current:
        current.done, current.total = 500, 2000
        activities.say("a result")
        time.sleep(0.5)

    shown_there = capsys.readouterr()
    assert shown_there.out == "a result\n"
    lines = shown_there.err.splitlines()
    assert lines[0] == "… verify: reads 500/2,000 (0 s)"
    assert len(lines) > 2


def test_many_brief_steps_are_not_a_long_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "PLAIN_EVERY_SECONDS", 0.05)
    with showing("verify: step 0") as current:
        for number in range(1, 51):
            time.sleep(0.01)
            current.now(f"verify: step {number}")

    assert len(capsys.readouterr().err.splitlines()) > 2


def test_brief_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("verify: reads"):
        pass

    assert capsys.readouterr() == ("", "")
