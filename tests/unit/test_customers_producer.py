from __future__ import annotations

import json
from pathlib import Path

import pytest

from producers.csv_source import SourceError
from producers.csv_text import open_text
from producers.customer_files import write_customers
from producers.customer_progress import ProgressFile
from producers.customer_rows import CustomerFile
from producers.customers import parser_for
from producers.messages import Message
from settings import Settings

CONTENT = (
    b"\xef\xbb\xbfCustomer_ID,First_Name,Email,Country\r\n"
    b'1,"Ada\nAugusta",ada@example.com,USA\r\n'
    b"2,Ren\xe9e\r\n"
    b",Bob,b@example.com,USA\r\n"
    b"3,Bo,b@example.com,USA,,\r\n"
    b"4,Eve,e@example.com,Main St,USA\r\n"
    b"\r\n"
    b'5,"open,x,y\r\n'
    b" 6 ,Max,,US\r\n"
)


def opened(
    path: Path, home: Path, *, from_start: bool = False, topic: str = "id-1"
) -> CustomerFile:
    source = open_text(Settings(), str(path))
    progress = ProgressFile(home, source, "customers-raw", topic)
    return CustomerFile(source, progress, progress.read(from_start=from_start))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "c.csv").write_bytes(CONTENT)
    return tmp_path / "c.csv"


def test_every_row_is_one_object_or_reported_with_its_line(path: Path, tmp_path: Path) -> None:
    file = opened(path, tmp_path)

    messages = list(file.messages(0))
    for number in (1, 2, 3, 4):
        file.confirmed(number)
    said = file.close()

    assert [(m.key, json.loads(m.value)) for m in messages] == [
        (b"1", {"Customer_ID": "1", "First_Name": "Ada\nAugusta",
                "Email": "ada@example.com", "Country": "USA"}),
        (b"2", {"Customer_ID": "2", "First_Name": "Renée"}),
        (b"", {"Customer_ID": "", "First_Name": "Bob", "Email": "b@example.com",
               "Country": "USA"}),
        (b"6", {"Customer_ID": " 6 ", "First_Name": "Max", "Email": "", "Country": "US"}),
    ]  # fmt: skip
    assert said[-1] == (
        "customer rows: 7 read, 4 sent, 3 skipped (a quote not closed or not doubled: 1, too many"
        f" fields: 2; see `{file.report.path}`); whole file done"
    )
    columns = ("last_name", "phone", "address", "city", "state", "postal_code", "created_at")
    assert file.report.path.read_text().splitlines() == [
        *(f"line 1: no column `{name}`" for name in columns),
        "line 4: not UTF-8, read as Windows-1252",
        "line 4: too few fields: 2 fields for 4 columns",
        "line 6: skipped, too many fields: 6 fields for 4 columns, the surplus blank; if every row"
        " ends with a separator, let the header end with one too",
        "line 7: skipped, too many fields: 5 fields for 4 columns",
        "line 9: skipped, a quote not closed or not doubled",
    ]


def test_a_new_start_continues_after_the_confirmed_rows_without_a_gap(
    path: Path, tmp_path: Path
) -> None:
    first = opened(path, tmp_path)
    sent = list(first.messages(0))
    for number in (1, 3, 4):  # the second is still on its way
        first.confirmed(number)
    said = first.close()
    second = opened(path, tmp_path)
    again = list(second.messages(0))
    second.close()

    assert said[-1].endswith("; continues at line 4")
    assert again == sent[1:]


def test_a_file_that_is_done_is_not_sent_again_unless_asked_for(path: Path, tmp_path: Path) -> None:
    file = opened(path, tmp_path)
    number = len(list(file.messages(0)))
    for each in range(number, 0, -1):
        file.confirmed(each)
    file.close()

    again, from_the_start = opened(path, tmp_path), opened(path, tmp_path, from_start=True)

    assert list(again.messages(0)) == []
    assert len(list(from_the_start.messages(0))) == 4
    again.close()
    from_the_start.close()


@pytest.mark.parametrize("count", [1, 0])
def test_topic_that_was_deleted_and_created_again_gets_all_rows(
    path: Path, tmp_path: Path, count: int
) -> None:
    file = opened(path, tmp_path)
    for number, _ in enumerate(file.messages(count), 1):
        file.confirmed(number)
    file.close()

    again = opened(path, tmp_path, topic="id-2")

    assert [message.key for message in again.messages(0)] == [b"1", b"2", b"", b"6"]
    again.close()


def test_progress_that_names_no_topic_is_continued_and_then_names_it(
    path: Path, tmp_path: Path
) -> None:
    file = opened(path, tmp_path)
    list(file.messages(1))
    file.confirmed(1)
    file.close()
    (note,) = (tmp_path / "producers").glob("customers-*.json")
    place = json.loads(note.read_text())
    known = place.pop("topic_identity")
    note.write_text(json.dumps(place))

    again = opened(path, tmp_path)
    for number, _ in enumerate(again.messages(0), 1):
        again.confirmed(number)
    again.close()

    place = json.loads(note.read_text())
    assert (place["delivered"], place["topic_identity"]) == (4, known)


def test_count_limits_the_rows_and_the_next_start_continues(path: Path, tmp_path: Path) -> None:
    file = opened(path, tmp_path)
    first = list(file.messages(1))
    file.confirmed(1)
    file.close()

    second = opened(path, tmp_path)
    rest = list(second.messages(0))
    second.close()

    assert [message.key for message in first + rest] == [b"1", b"2", b"", b"6"]


def test_report_keeps_the_rows_that_earlier_starts_skipped(path: Path, tmp_path: Path) -> None:
    whole = opened(path, tmp_path / "whole")
    list(whole.messages(0))
    whole.close()

    for count in (2, 1, 0):
        part = opened(path, tmp_path / "parts")
        for number, _ in enumerate(part.messages(count), 1):
            part.confirmed(number)
        part.close()

    assert part.report.path.read_text() == whole.report.path.read_text()


def test_report_has_each_line_before_the_next_row_is_sent(path: Path, tmp_path: Path) -> None:
    file = opened(path, tmp_path)
    messages = file.messages(0)

    for _ in range(4):
        next(messages)

    last = file.report.path.read_text().splitlines()[-1]
    assert last == "line 9: skipped, a quote not closed or not doubled"
    file.close()


def test_a_file_that_was_changed_is_noticed(path: Path, tmp_path: Path) -> None:
    file = opened(path, tmp_path)
    next(iter(file.messages(1)))
    file.confirmed(1)
    file.close()
    path.write_bytes(CONTENT + b"7,New,n@example.com,US\r\n")

    with pytest.raises(SourceError, match=r"changed since 1 of its rows.*line 3.*--from-start"):
        opened(path, tmp_path)


def test_an_unreadable_note_is_an_error_not_a_new_start(path: Path, tmp_path: Path) -> None:
    source = open_text(Settings(), str(path))
    progress = ProgressFile(tmp_path, source, "customers-raw", "id-1")
    progress.path.parent.mkdir()
    progress.path.write_text("{")

    with pytest.raises(SourceError, match=r"Cannot read .*--from-start"):
        opened(path, tmp_path)


def test_a_made_up_file_has_every_kind_of_fault_and_the_same_bytes_again(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("1.csv", "2.csv", "3.csv"))
    write_customers(first, 2000, 5, 0.3)
    write_customers(second, 2000, 5, 0.3)
    write_customers(other, 2000, 6, 0.3)
    file = opened(first, tmp_path)

    messages: list[Message] = list(file.messages(0))
    file.close()

    records = [json.loads(message.value) for message in messages]
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    assert first.read_bytes().startswith(b"\xef\xbb\xbfCustomer_ID,")
    assert file.read == 2000
    assert 60 < file.skipped < 120
    assert set(file.report.kinds) == {
        "not UTF-8, read as Windows-1252", "too few fields", "skipped, too many fields",
    }  # fmt: skip
    assert len({r["Customer_ID"] for r in records}) < len(records)
    assert any("\n" in r.get("Address", "") for r in records)
    assert {"U.S.A.", "usa", "France"} <= {r.get("Country") for r in records}
    assert any(r.get("Email") == "a@b@example.com" for r in records)
    assert any(r.get("Created_At") == "2024-02-30" for r in records)


@pytest.mark.parametrize("count", ["-5", "1.5", "all"])
def test_count_that_is_no_number_of_rows_is_explained(
    capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser_for(Settings()).parse_args(["--count", count])

    assert "--count: expected a whole number, 0 or more" in capsys.readouterr().err


def test_file_of_the_option_lies_where_the_command_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parse = parser_for(Settings()).parse_args

    assert parse(["--source", "c.csv"]).source == f"{tmp_path}/c.csv"
    assert parse(["--source", "s3://bucket/c.csv"]).source == "s3://bucket/c.csv"
