"""Instants that senders and stores may hold, and that a calendar may not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from bson import decode, encode
from bson.datetime_ms import DatetimeMS

from operations.show import _time
from operations.tables import print_records
from settings import Settings
from spark_jobs.sinks.mongodb import connect_mongodb
from spark_jobs.state.clock import Moment
from spark_jobs.state.instants import instant_or_number
from spark_jobs.state.ledger import Counts, Entry

LAST = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
FAR_MS = 9_404_654_400_000_000


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_795_342_500_001, datetime(2026, 11, 22, 10, 15, 0, 1000, tzinfo=UTC)),
        (253_402_300_799_999, LAST),
        (253_402_300_800_000, "253402300800000"),
        (-1, "-1"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
    ],
)
def test_instant_outside_1970_to_9999_is_its_number(
    milliseconds: int, shown: datetime | str
) -> None:
    assert instant_or_number(milliseconds) == shown


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("-7", "-7"),
        ("1795342500000000", "1795342500000000"),
        ("abc", "abc"),
        ("", ""),
        ("1" + "0" * 30, "1" + "0" * 30),
        ("1_0", "1_0"),
        ("\u0663", "\u0663"),
        (None, None),
    ],
)
def test_header_that_is_no_instant_is_shown_as_it_is(
    header: str | None, shown: datetime | str | None
) -> None:
    assert _time(header) == shown


def test_time_of_mongodb_that_is_no_datetime_is_read_and_shown_as_its_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stored = encode({"at": DatetimeMS(FAR_MS), "when": LAST, "in": [DatetimeMS(-FAR_MS)]})
    with connect_mongodb(Settings(_env_file=None)) as client:
        document = decode(stored, codec_options=client.codec_options)

    print_records([document], "json")
    print_records([document], "csv")

    as_json, _, as_csv = capsys.readouterr().out.splitlines()
    assert json.loads(as_json) == {
        "at": "9404654400000000",
        "when": "9999-12-31T23:59:59.999000+00:00",
        "in": ["-9404654400000000"],
    }
    assert as_csv == ('9404654400000000,9999-12-31 23:59:59.999+00:00,"[""-9404654400000000""]"')


def test_clock_of_the_ledger_that_is_no_datetime_is_no_clock() -> None:
    moment = Moment(datetime(2026, 11, 22, tzinfo=UTC), "boot", 5.0)
    entry = Entry("tickets", "t", "q", 0, {0: (0, 1)}, Counts(read=1), (), moment=moment)
    document = entry.document(LAST)

    assert Entry.of(document).moment == moment
    document["clock"]["wall"] = DatetimeMS(FAR_MS)
    assert Entry.of(document).moment is None
