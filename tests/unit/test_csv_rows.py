from __future__ import annotations

import random
from pathlib import Path

import pytest

from producers import csv_source
from producers.csv_header import Header, read_header
from producers.csv_rows import LONGEST_ROW_BYTES, RowReader, lines
from producers.csv_source import SourceError, open_source
from settings import Settings

Notes = list[tuple[int, str]]
BROKEN_QUOTE = "skipped, a quote not closed or not doubled"


def rows(content: bytes, page: int = 7, notes: Notes | None = None) -> list[tuple[object, ...]]:
    """Fields, first line, next position and next line of each row, read in small pages."""
    pages = (content[at : at + page] for at in range(0, len(content), page))
    notes = [] if notes is None else notes
    reader = RowReader(
        lines(pages, 1), position=0, line=1, delimiter=",", tell=lambda n, w: notes.append((n, w))
    )
    return [(r.fields, r.line, r.next_position, r.next_line) for r in reader]


def test_quoted_line_breaks_stay_and_lines_are_counted_as_an_editor_shows_them() -> None:
    content = 'a,"x\r\ny\n,""z"""\r\n\r\nb,c\nlast,é'.encode()

    assert rows(content) == [
        (["a", 'x\r\ny\n,"z"'], 1, 17, 4),
        (["b", "c"], 5, 23, 6),
        (["last", "é"], 6, 30, 7),
    ]


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_pages_of_any_size_give_the_same_rows(page: int) -> None:
    content = b'\xef\xbb\xbfa,b\r\n"1\n2",\xc3\xa9\n\n3,4'

    assert rows(content, page) == [
        (["a", "b"], 1, 8, 2),
        (["1\n2", "é"], 2, 17, 4),
        (["3", "4"], 5, 21, 6),
    ]


def test_what_is_not_utf_8_is_read_as_windows_1252_or_latin_1_and_reported() -> None:
    notes: Notes = []

    got = rows(b"Ren\xe9e,\x80\n\x81,x\nRen\xc3\xa9e,y\n", notes=notes)

    assert [row[0] for row in got] == [["Renée", "€"], ["\x81", "x"], ["Renée", "y"]]
    assert notes == [(1, "not UTF-8, read as Windows-1252"), (2, "not UTF-8, read as Latin-1")]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    notes: Notes = []

    got = rows(b'a,b\n1,"open\n2,\xe9\n3,z\n', notes=notes)

    assert got == [
        (["a", "b"], 1, 4, 2),
        (None, 2, 12, 3),
        (["2", "é"], 3, 16, 4),
        (["3", "z"], 4, 20, 5),
    ]
    assert notes == [(2, BROKEN_QUOTE), (3, "not UTF-8, read as Windows-1252")]


def test_a_line_longer_than_any_row_is_skipped_as_one() -> None:
    notes: Notes = []
    long = b"x" * (3 * LONGEST_ROW_BYTES)

    got = rows(b"a,b\n" + long + b"\nc,d\n", page=50_000, notes=notes)

    assert got == [
        (["a", "b"], 1, 4, 2),
        (None, 2, 393_221, 3),
        (["c", "d"], 3, 393_225, 4),
    ]
    assert notes == [(2, "skipped, longer than 128 KiB")]


def test_reading_resumes_at_every_place_that_a_row_named() -> None:
    rng = random.Random(3)
    content = "".join(
        rng.choice(('"', "a", ",", "\n", "\r\n", "\r", "é", '"b\nc"', "1,2\n", "\\"))
        for _ in range(400)
    ).encode()
    whole = rows(content)

    assert len(whole) > 20
    for number, (_, _, position, line) in enumerate(whole):
        assert isinstance(position, int)
        assert isinstance(line, int)
        reader = RowReader(
            lines([content[position:]], line), position=position, line=line, delimiter=",",
            tell=lambda n, w: None,
        )  # fmt: skip
        rest = [(r.fields, r.line, r.next_position, r.next_line) for r in reader]
        assert rest == whole[number + 1 :]


@pytest.fixture
def header_of(tmp_path: Path) -> object:
    def read(content: bytes) -> tuple[Header, Notes]:
        notes: Notes = []
        path = tmp_path / "c.csv"
        path.write_bytes(content)
        source = open_source(Settings(), str(path))
        return read_header(source, lambda n, w: notes.append((n, w))), notes

    return read


ALL = b"customer_id,first_name,last_name,email,phone,address,city,state,country,postal_code"


def test_the_header_may_have_a_bom_any_case_blanks_and_another_delimiter(header_of) -> None:  # type: ignore[no-untyped-def]
    content = b"\xef\xbb\xbf" + ALL.upper().replace(b",", b" ; ") + b";Created_At;\r\n1;2\r\n"

    header, notes = header_of(content)

    assert header.names[:2] == ("CUSTOMER_ID", "FIRST_NAME")
    assert (header.delimiter, header.position, header.line) == (";", 118, 2)
    assert notes == [(1, "column 12 has no name and is not sent")]


def test_missing_columns_are_reported(header_of) -> None:  # type: ignore[no-untyped-def]
    _, notes = header_of(b"\n\ncustomer_id,first_name,email,country,phone,address,city,state\n")

    assert notes == [
        (3, "no column `last_name`"),
        (3, "no column `postal_code`"),
        (3, "no column `created_at`"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (b"17,Ada,Lovelace\n", "has no header: line 1 names none of the columns customer_id,"),
        (ALL + b",Email,EMAIL\n", "line 1, .*`email` in columns 4, 11, 12"),
    ],
    ids=["empty", "blank", "no header", "same names"],
)
def test_a_file_that_cannot_be_understood_is_refused(  # type: ignore[no-untyped-def]
    header_of, content: bytes, words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        header_of(content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Cannot read `.*none\.csv`: not a file.*--source"):
        open_source(Settings(), str(tmp_path / "none.csv"))


def test_a_file_that_changes_while_it_is_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_source, "PAGE_BYTES", 4)
    path = tmp_path / "c.csv"
    path.write_bytes(b"0123456789")
    pages = open_source(Settings(), str(path)).pages(2)

    assert next(pages) == b"2345"
    path.write_bytes(b"0123456789a")
    with pytest.raises(SourceError, match="was changed while it was read"):
        next(pages)
