"""Files of records: each record as a message, its place, and what cannot be read."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from producers import sample_bytes
from producers.samples import SampleError, sample_records

ZONE = dt.timezone(dt.timedelta(hours=2))


def read(path: Path, content: bytes | str, name: str = "sample") -> list[tuple[str, bytes]]:
    file = path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(sample_records(file))


def refused(path: Path, content: bytes | str, name: str = "sample") -> str:
    with pytest.raises(SampleError) as caught:
        read(path, content, name)
    return str(caught.value).replace(str(path), "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a":1.50}\n{"a":2}\n', [("line 1", '{"a":1.50}'), ("line 2", '{"a":2}')]),
        (' {"a":1} \r\n\n{"a":2}', [("line 1", '{"a":1}'), ("line 3", '{"a":2}')]),
        ('\ufeff{"a":1}', [("line 1", '{"a":1}')]),
        # A broken line is a message too: it is judged like any other.
        ('{"a":\n{"a":2}', [("line 1", '{"a":'), ("line 2", '{"a":2}')]),
        ('{"a":1}\noops', [("line 1", '{"a":1}'), ("line 2", "oops")]),
        (
            '[{"a":"],"},\n {"b":[1,{}]}]\n',
            [("record 1", '{"a":"],"}'), ("record 2", '{"b":[1,{}]}')],
        ),
        ('\ufeff [{"a":"\\"\\\\"}]', [("record 1", '{"a":"\\"\\\\"}')]),
        (
            '[{"a":1}, 5, "x,", []]',
            [("record 1", '{"a":1}'), ("record 2", "5"), ("record 3", '"x,"'), ("record 4", "[]")],
        ),
        ("[ ]", []),
        ("[\n]\n", []),
        (
            '{\n "a": 1\n}\n{\n "a": 2\n}',
            [("record 1", '{\n "a": 1\n}'), ("record 2", '{\n "a": 2\n}')],
        ),
        ('{\n "a": {}\n}', [("record 1", '{\n "a": {}\n}')]),
        ("", []),
        (" \n\n", []),
    ],
)
def test_json_is_found_by_its_content(
    tmp_path: Path, content: str, expected: list[tuple[str, str]]
) -> None:
    assert read(tmp_path, content) == [(place, text.encode()) for place, text in expected]


def test_the_name_decides_where_the_content_does_not(tmp_path: Path) -> None:
    assert read(tmp_path, "1\n2", "x.jsonl") == [("line 1", b"1"), ("line 2", b"2")]
    assert "has no header" in refused(tmp_path, "1\n2", "x.csv")


def test_a_record_that_crosses_pages_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.sample_json.PAGE_BYTES", 3)
    records = [{"text": 'a "quoted" \\ text ' * 9, "list": [[1, 2], {"b": "é"}]}, {"n": -1}]

    found = read(tmp_path, json.dumps(records, indent=1, ensure_ascii=False))

    assert [json.loads(value) for _, value in found] == records


def test_gzip_is_unpacked_whatever_the_name(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(b'{"a":1}')) == [("line 1", b'{"a":1}')]
    assert read(tmp_path, gzip.compress(b"a,b\n1,2")) == [("line 2", b'{"a":"1","b":"2"}')]
    assert "ends too early" in refused(tmp_path, gzip.compress(b'{"a":1}' * 99)[:-9])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,x\n", [("line 2", {"a": "1", "b": "x"})]),
        ("\ufeffa;b\r\n1,5;x\r\n", [("line 2", {"a": "1,5", "b": "x"})]),
        ("a\tb\n1\t\n \t2\n", [("line 2", {"a": "1"}), ("line 3", {"b": "2"})]),
        ("sep=|\na|b\n1|2", [("line 3", {"a": "1", "b": "2"})]),
        (
            'a,b\n"x, ""y""\nz",2\n3,4',
            [("line 2", {"a": 'x, "y"\nz', "b": "2"}), ("line 4", {"a": "3", "b": "4"})],
        ),
        ("a,,c,\n1,2,3,\n", [("line 2", {"a": "1", "column_2": "2", "c": "3"})]),
        ("a,b\n1\n", [("line 2", {"a": "1"})]),
        ("a,b\n\n,\n1,2", [("line 4", {"a": "1", "b": "2"})]),
        ("name\nAda\n", [("line 2", {"name": "Ada"})]),
        ("Straße,prénom\nÄ,é\n", [("line 2", {"Straße": "Ä", "prénom": "é"})]),
        (
            "note,n;x\nhello; you,1\nbye; now,2",
            [
                ("line 2", {"note": "hello; you", "n;x": "1"}),
                ("line 3", {"note": "bye; now", "n;x": "2"}),
            ],
        ),
        ("a,b\n", []),
        ("orcid,b\n1,x\n", [("line 2", {"orcid": "1", "b": "x"})]),
        ("ORC,PAR1\n1,x\n", [("line 2", {"ORC": "1", "PAR1": "x"})]),
        ("PAR1;ORC\n1;x\n", [("line 2", {"PAR1": "1", "ORC": "x"})]),
        ("fea1,FEA2\n1,x\n", [("line 2", {"fea1": "1", "FEA2": "x"})]),
        ("FEA1,FEA2\n1,x\n", [("line 2", {"FEA1": "1", "FEA2": "x"})]),
    ],
)
def test_a_row_of_a_csv_is_an_object_of_texts(
    tmp_path: Path, content: str, expected: list[tuple[str, dict[str, str]]]
) -> None:
    found = read(tmp_path, content)

    assert [(place, json.loads(value)) for place, value in found] == expected


def orc() -> bytes:
    file = io.BytesIO()
    pyarrow.orc.write_table(pa.table({"a": ["1"]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"a":1}', "ends inside record 1: the array is not closed"),
        ('[{"a":1},', "ends inside record 2"),
        ('[{"a":"x]', "ends inside record 1"),
        ('[{"a":1}]\n{"b":2}', "has more after its array"),
        ('{\n"a":\n1\n', "ends inside record 1: an object is not closed"),
        ("a,a\n1,2", "line 1: several columns have the name `a`"),
        ("1,2020-01-01\n2,2020-01-02", "has no header: line 1"),
        ("a,b\n1,2,3\n", "line 2: the row has 3 fields and the header 2"),
        ('a,b\n1,2\n"x,2\n', "line 3: cannot be read"),
        (b"a,b\n1,2\n\xe9,3\n", "has another encoding in line 3"),
        ('{"a":1}'.encode("utf-16"), "begins with the mark of UTF-16"),
        (b"PK\x03\x04 xl/workbook", "is an Excel workbook"),
        (b"<html><body>", "is an HTML page"),
        (b"<HTML><Body>", "is an HTML page"),
        (b"<?XML version='1.0'?>", "is an XML document"),
        (orc(), "is an ORC file"),
        (b"PAR1 and nothing more", "Cannot read `/sample` after row 0"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(
    tmp_path: Path, content: bytes | str, said: str
) -> None:
    assert said in refused(tmp_path, content)


def test_records_before_a_fault_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n1,2,3\n")
    records = sample_records(tmp_path / "x.csv")

    assert next(records) == ("line 2", b'{"a":"1","b":"2"}')
    with pytest.raises(SampleError, match="line 3"):
        next(records)


def test_no_record_may_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.sample_json.LONGEST_RECORD_BYTES", 100)
    monkeypatch.setattr("producers.sample_json.PAGE_BYTES", 50)
    long = json.dumps({"a": "x" * 200})

    assert "line 2: longer than" in refused(tmp_path, f'{{"b":1}}\n{long}')
    assert "record 2: longer than" in refused(tmp_path, f'[{{"b":1}},{long}]')
    assert len(read(tmp_path, json.dumps([{"a": "x" * 20}] * 50))) == 50


class Pieces(io.RawIOBase):
    """A pipe into which these pieces were written one after the other."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._pieces.pop(0) if self._pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"\n", b'{"a":1}\n'), [("line 2", b'{"a":1}')]),
        (
            (b"\xef\xbb\xbf", b" \r\n", b"\n\t", b"\na,b\n", b"1,2\n"),
            [("line 5", b'{"a":"1","b":"2"}')],
        ),
        ((b"\n", b"sep=|\na|b\n1|2"), [("line 4", b'{"a":"1","b":"2"}')]),
        ((b"\n\n", b'[{"a":1}', b"]"), [("record 1", b'{"a":1}')]),
        ((b"\n", b"\n"), []),
    ],
)
def test_blank_lines_that_come_first_through_a_pipe_are_skipped(
    pieces: tuple[bytes, ...], expected: list[tuple[str, bytes]]
) -> None:
    assert list(sample_records("-", Pieces(*pieces))) == expected


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_many_blank_lines_before_the_records_are_skipped(tmp_path: Path, pack: Any) -> None:
    blank = "\n" * (sample_bytes.HEAD_BYTES + 10)

    assert read(tmp_path, pack(f'{blank}{{"a":1}}\n'.encode())) == [("line 65547", b'{"a":1}')]
    assert "has another encoding in line 65548" in refused(
        tmp_path, pack(blank.encode() + b"a,b\n\xe9,1\n")
    )


def test_a_missing_file_or_a_folder_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.jsonl"):
        with pytest.raises(SampleError, match="not a file, or it does not exist"):
            list(sample_records(path))


def test_standard_input_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b'{"a":1}\n'))
    monkeypatch.setattr("sys.stdin", stdin)

    assert list(sample_records(sample_bytes.STANDARD_INPUT)) == [("line 1", b'{"a":1}')]
    assert not stdin.closed


def parquet(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path / "x.parquet")
    return path / "x.parquet"


def test_types_of_parquet_become_json(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001
    # By hand: 03:04:05 at +02:00 is 01:04:05 in UTC.
    cases: dict[str, tuple[Any, Any]] = {
        "whole": (pa.array([2**63 - 1]), 2**63 - 1),
        "real": (pa.array([0.1]), 0.1),
        "absent": (pa.array([None], pa.string()), None),
        "nan": (pa.array([float("nan")]), None),
        "infinite": (pa.array([float("inf")]), "inf"),
        "yes": (pa.array([True]), True),
        "price": (pa.array([Decimal("12.30")]), "12.30"),
        "naive": (pa.array([moment]), "2026-01-02T03:04:05.678901Z"),
        "zoned": (
            pa.array([moment.replace(tzinfo=ZONE)], pa.timestamp("ns", "+02:00")),
            "2026-01-02T01:04:05.678901Z",
        ),
        "finest": (
            pa.array([1_767_323_045_678_901_234], pa.timestamp("ns")),
            "2026-01-02T03:04:05.678901Z",
        ),
        "day": (pa.array([dt.date(2026, 1, 2)]), "2026-01-02"),
        "day64": (pa.array([dt.date(2026, 1, 2)], pa.date64()), "2026-01-02"),
        "time": (pa.array([dt.time(3, 4, 5)]), "03:04:05"),
        "choice": (pa.array(["a"]).dictionary_encode(), "a"),
        "list": (pa.array([[1, 2]]), [1, 2]),
        "inner": (
            pa.array([{"x": Decimal("1.0"), "y": None, "at": moment}]),
            {"x": "1.0", "at": "2026-01-02T03:04:05.678901Z"},
        ),
        "text": (pa.array(['é"']), 'é"'),
    }
    path = parquet(tmp_path, {name: column for name, (column, _) in cases.items()})

    [(place, value)] = sample_records(path)

    assert place == "row 1"
    expected = {name: each for name, (_, each) in cases.items() if each is not None}
    assert json.loads(value) == expected


def test_types_without_json_are_refused_together(tmp_path: Path) -> None:
    columns = {
        "photo": pa.array([b"\xff"]),
        "tags": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "fine": pa.array([1]),
        "inner": pa.array([{"raw": b"x"}]),
    }

    with pytest.raises(SampleError) as caught:
        list(sample_records(parquet(tmp_path, columns)))

    assert [line for line in str(caught.value).splitlines() if line.startswith("  -")] == [
        "  - `photo`: binary",
        "  - `tags`: map",
        "  - `inner.raw`: binary",
    ]
