"""How the commands of jobs and of `make verify` start their driver."""

from __future__ import annotations

from typing import Any

import pytest

from operations import repair_session, verify
from settings import Settings
from spark_jobs import main as job
from spark_jobs.guard import Diagnosis
from spark_jobs.tickets import TICKETS


class Started(Exception):
    """Ends a job where its driver would start."""


@pytest.mark.parametrize(
    ("unread", "options", "is_brief"),
    [
        ([20_000], ["--available-now"], True),
        ([15_000, 6_000], ["--available-now"], False),
        ([10, None], ["--available-now"], False),
        ([10], [], False),
    ],
)
def test_only_a_job_with_little_to_read_does_without_compiling_for_speed(
    monkeypatch: pytest.MonkeyPatch, unread: list[int | None], options: list[str], is_brief: bool
) -> None:
    seen: dict[str, Any] = {}

    def start(*_: Any, **wishes: Any) -> None:
        seen.update(wishes)
        raise Started

    found = {str(i): Diagnosis([], unread=number) for i, number in enumerate(unread)}
    monkeypatch.setattr(job, "check_pipelines", lambda *_: found)
    monkeypatch.setattr(job, "start_logging", lambda *_: None)
    monkeypatch.setattr(job, "explained", lambda *_: None)
    monkeypatch.setattr(job, "build_session", start)

    with pytest.raises(Started):
        job.main([TICKETS], options)

    assert seen["is_brief"] is is_brief


@pytest.mark.parametrize("is_little", [True, False])
def test_only_a_proof_of_few_messages_does_without_compiling_for_speed(
    monkeypatch: pytest.MonkeyPatch, is_little: bool
) -> None:
    seen: dict[str, Any] = {}

    def start(*_: Any, **wishes: Any) -> None:
        seen.update(wishes)
        raise Started

    monkeypatch.setattr(verify, "_look_at_stores", lambda *_: is_little)
    for name in ("ensure_jars", "find_java"):
        monkeypatch.setattr(repair_session, name, lambda *_: None)
    monkeypatch.setattr(repair_session, "build_session", start)

    with pytest.raises(Started):
        verify.verify(Settings(_env_file=None))

    assert seen["is_brief"] is is_little
