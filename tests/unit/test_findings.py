"""What stands in the way of a start, in words and numbers."""

from __future__ import annotations

import pytest

from errors import JobError
from settings import Settings
from spark_jobs.start_checks.findings import finding, refuse
from spark_jobs.state.offset_ranges import overlap, ranges_in_words, width

RANGES = {2: (7, 8), 0: (5, 105), 1: (3, 3)}


def test_ranges_are_written_by_partition_with_their_last_offset() -> None:
    assert ranges_in_words(RANGES) == "partition 0, offsets 5 to 104; partition 2, offset 7"
    assert width(RANGES) == 101


def test_only_offsets_that_lie_in_both_overlap() -> None:
    assert overlap(RANGES, {0: (100, 200), 1: (0, 9), 2: (8, 9)}) == {0: (100, 105)}


def test_one_error_holds_all_findings_each_with_its_choices() -> None:
    settings = Settings(_env_file=None)
    findings = [
        finding(settings, "tickets", "A is gone.", "bring A back"),
        finding(settings, "profiles-files", "B is gone."),
    ]

    with pytest.raises(JobError) as refused:
        refuse(findings)

    assert str(refused.value) == (
        "Pipeline tickets: A is gone. Choose:\n"
        "  - bring A back;\n"
        "  - `make reset PIPELINE=tickets` deletes its checkpoint and stored data; the next job"
        " reads the topic from its beginning.\n"
        "Pipeline profiles-files: B is gone. Choose:\n"
        "  - `make reset PIPELINE=profiles` deletes its checkpoint and stored data; the next job"
        " reads the topic from its beginning.\n"
        "Nothing was started and nothing was changed."
    )


def test_without_findings_nothing_is_refused() -> None:
    refuse([])
