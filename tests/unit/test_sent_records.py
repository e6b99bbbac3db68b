"""Records of files as messages: bytes, keys, what is never sent, what cannot be read."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from producers import generated, sent
from producers.command import settings_or_exit
from producers.named import NamedInput, input_named
from producers.never_sent import NeverSent
from producers.pacing import ProducerStop
from producers.record_keys import message_key
from schemas.contract import contract_from, load_contract
from settings import Settings
from tests.support.rich_contracts import ORDERS, completed, rich_contract

KEYS: dict[str, Any] = {
    "type": "object",
    "required": ["shop", "number"],
    "properties": {
        "shop": {"type": "string", "x-trim": True, "x-id": True, "x-other-names": ["store.name"]},
        "number": {"type": "integer", "x-id": True},
    },
}


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pipelines with `orders` in it."""
    folder = tmp_path / "pipelines" / "orders"
    folder.mkdir(parents=True)
    (folder / "contract.schema.json").write_text(json.dumps(completed(ORDERS)))
    (folder / "pipeline.py").write_text("")
    monkeypatch.setenv("PIPELINES_PATH", str(folder.parent))
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    # No broker is asked in these tests.
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    return folder


def sent_messages(path: Path, content: str | bytes, name: str = "orders") -> list[Any]:
    file = path / "sample.jsonl"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    contract = rich_contract(name)
    target = NamedInput(name, name, contract, contract.id_fields)
    return [*sent.FileRecords(target, str(file)).messages(Settings(), ProducerStop())]


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"shop": "a", "number": 1}, b"a|1"),
        ({"shop": " a ", "number": 1.0}, b"a|1"),
        ({"shop": "a|\\", "number": 1}, b"a\\|\\\\|1"),
        ({"store": {"name": "b"}, "number": 2}, b"b|2"),
        ({"shop": None, "store": {"name": "b"}, "number": 2}, b"b|2"),
        ({"SHOP": "c", "Number": "3"}, b"c|3"),
        ({"shop": "a"}, b""),
        ({"shop": "  ", "number": 1}, b""),
        ({"shop": "a", "number": None}, b""),
        ({"shop": "a", "number": True}, b""),
        ({"shop": ["a"], "number": 1}, b""),
        ([1], b""),
        ("a|1", b""),
        (None, b""),
    ],
)
def test_the_key_is_the_id_as_text(record: Any, key: bytes) -> None:
    contract = contract_from("keys", completed(KEYS), stands_alone=True)

    assert message_key(contract.id_fields, record) == key


def test_spellings_of_one_id_have_one_key() -> None:
    uuid = "0B9A1C9E-4F0E-4A57-8B0A-6D5F2F3C1A77"
    assert message_key(rich_contract("members").id_fields, {"uuid": uuid}) == uuid.lower().encode()

    shape = {"type": "string", "enum": ["Paid"], "x-synonyms": {"bezahlt": "Paid"}, "x-id": True}
    status = {"type": "object", "required": ["s"], "properties": {"s": shape}}
    contract = contract_from("s", completed(status), stands_alone=True)
    for text in ("Paid", " PAID", "bezahlt"):
        assert message_key(contract.id_fields, {"s": text}) == b"Paid"


def test_json_is_sent_byte_for_byte_also_if_it_is_broken(tmp_path: Path) -> None:
    lines = ['{"order_id" : "A", "amount":1.50}', '{"order_id":', "oops", '{"order_id":"B"}']

    found = sent_messages(tmp_path, "\n".join(lines))

    assert [message.value.decode() for message in found] == lines
    assert [message.key for message in found] == [b"A", b"", b"", b"B"]


def test_what_must_never_be_sent_is_removed_and_numbers_keep_their_digits(tmp_path: Path) -> None:
    lines = (
        '{"uuid":"a","secret":"x","n":1.50,"big":123456789012345678901234567890}\n'
        '{"uuid":"b","secret":null}\n'
        '{"uuid":"c"}'
    )

    found = sent_messages(tmp_path, lines, "members")

    assert [(message.key, message.value.decode()) for message in found] == [
        (b"a", '{"uuid":"a","n":1.50,"big":123456789012345678901234567890}'),
        (b"b", '{"uuid":"b"}'),
        (b"c", '{"uuid":"c"}'),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"login":{"uuid":"1","password":"p","salt":"s"},"nat":"FR"}',
         b'{"login":{"uuid":"1"},"nat":"FR"}'),
        # The last of repeated keys counts, and the others go.
        (b'{"login":{"password":"p"},"login":{"uuid":"1"}}', b'{"login":{"uuid":"1"}}'),
        (b'{"login":"text"}', b'{"login":"text"}'),
        (b'{"login":{"password":', None),
        (b'[{"login":{"password":"p"}}]', None),
        (b'{"login":{"password":"p"},"n":NaN}', None),
        (b'\xff', None),
        (b"[" * 100_000, None),
        (b'{"a":"\\ud800"}', None),
    ],
)  # fmt: skip
def test_what_cannot_be_cleaned_is_withheld(value: bytes, expected: bytes | None) -> None:
    assert NeverSent(load_contract("profile")).removed(value) == expected


def test_withheld_records_are_counted_and_reported(tmp_path: Path) -> None:
    contract = rich_contract("members")
    (tmp_path / "m.jsonl").write_text('{"uuid":"a"}\n{"secret":"x"\n')
    records = sent.FileRecords(
        NamedInput("members", "members", contract, contract.id_fields), str(tmp_path / "m.jsonl")
    )

    assert len([*records.messages(Settings(), ProducerStop())]) == 1
    assert records.withheld == 1
    assert "not sent: 1 record" in records.close()[0]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.jsonl", None, "not a file, or it does not exist"),
        ("folder", ..., "not a file, or it does not exist"),
        ("array.json", b'[{"order_id":"A"}, {"order_id"', "not closed"),
        ("rows.parquet", b"PAR1 and then nothing", "Write the Parquet file again"),
        ("orders.xlsx", b"PK\x03\x04 xl/workbook.xml", "an Excel workbook"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_is_one_sentence_and_nothing_is_sent(
    orders: Path, capsys: pytest.CaptureFixture[str], name: str, content: Any, expected: str
) -> None:
    file = orders.parent / name
    if content is ...:
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)

    code = sent.main(["orders", str(file)])

    output = capsys.readouterr()
    assert code == 1
    assert output.out == "sent=0 delivered=0 failed=0\n"
    assert len(output.err.splitlines()) == 1
    assert expected in output.err
    assert name in output.err


def test_a_name_that_the_system_refuses_is_one_sentence_and_nothing_is_sent(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, why in (("x" * 300, "File name too long"), ("~nobody-of-this-name/x", "not a file")):
        assert sent.main(["orders", name]) == 1

        output = capsys.readouterr()
        assert output.out == "sent=0 delivered=0 failed=0\n"
        assert f"Cannot read `{name}`: {why}" in output.err


def test_closed_standard_input_is_one_sentence_and_nothing_is_sent(
    orders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert sent.main(["orders", "-"]) == 1

    output = capsys.readouterr()
    assert output.out == "sent=0 delivered=0 failed=0\n"
    assert "Standard input is closed" in output.err


@pytest.mark.parametrize("main", [generated.main, sent.main])
def test_an_unknown_pipeline_is_named_with_the_known_ones(
    orders: Path, capsys: pytest.CaptureFixture[str], main: Any
) -> None:
    code = main(["order", *(["-"] if main is sent.main else [])])

    output = capsys.readouterr()
    assert (code, output.out) == (1, "sent=0 delivered=0 failed=0\n")
    assert "no pipeline `order`" in output.err
    assert "orders" in output.err


def test_faults_of_the_contract_are_reported(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (orders / "contract.schema.json").write_text("{}")

    assert generated.main(["orders"]) == 1
    assert "The orders contract breaks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--count", "-1"], "--count: expected a whole number"),
        (["--rate", "fast"], "--rate: expected a number, 0 or more"),
        (["--rate", "inf"], "--rate: expected a number, 0 or more"),
        (["--invalid-ratio", "2"], "--invalid-ratio: expected a number from 0 to 1"),
        (["--invalid-ratio", ".6", "--duplicate-ratio", ".6"], "add up to more than 1"),
    ],
)
def test_wrong_options_are_explained(
    orders: Path, capsys: pytest.CaptureFixture[str], options: list[str], expected: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        generated.main(["orders", *options])

    assert expected in capsys.readouterr().err


def test_the_topic_is_that_of_the_settings_or_the_name(
    orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def topic(given: str | None = None) -> str:
        return input_named("orders", settings_or_exit(), given).topic

    assert topic() == "orders"
    monkeypatch.setenv("ORDERS_TOPIC", "shop.orders")
    assert topic() == "shop.orders"
    assert topic("other") == "other"


@pytest.mark.parametrize(
    ("name", "topic", "record", "key"),
    [
        ("tickets", "client_tickets", {"client_id": "C1"}, b"C1"),
        ("profiles", "users_profiles", {"login": {"uuid": "AB"}}, b"ab"),
        ("customers", "customers-raw", {"Customer_ID": "7"}, b"7"),
    ],
)
def test_built_in_pipelines_keep_their_topics_and_keys(
    name: str, topic: str, record: dict[str, Any], key: bytes
) -> None:
    target = input_named(name, Settings())

    assert (target.topic, message_key(target.key_fields, record)) == (topic, key)


def test_waiting_input_ends_at_a_stop_request_without_a_cut_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"order_id":"A"}\n{"order_id":')
    stop, contract = ProducerStop(), rich_contract("orders")
    monkeypatch.setattr(sent, "standard_input_descriptor", lambda: reading)
    records = sent.FileRecords(NamedInput("orders", "t", contract, contract.id_fields), "-")
    timer = threading.Timer(0.3, stop.request)

    started = time.monotonic()
    messages = records.messages(Settings(), stop)
    first = next(messages)
    timer.start()
    rest = [*messages]

    os.close(writing)
    assert (first.key, rest) == (b"A", [])
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("begin", [None, b"", b'{"order_id":"A"}\n{"order_id":'])
def test_a_named_pipe_ends_at_a_stop_request_whether_or_not_something_writes(
    tmp_path: Path, begin: bytes | None
) -> None:
    pipe, stop, contract = tmp_path / "pipe", ProducerStop(), rich_contract("orders")
    os.mkfifo(pipe)
    records = sent.FileRecords(NamedInput("orders", "t", contract, contract.id_fields), str(pipe))
    # Without one that writes, opening a pipe for writing alone would wait too.
    writing = os.open(pipe, os.O_RDWR) if begin is not None else None
    if writing is not None:
        os.write(writing, begin or b"")
    timer = threading.Timer(0.3, stop.request)

    started = time.monotonic()
    timer.start()
    found = [message.key for message in records.messages(Settings(), stop)]

    if writing is not None:
        os.close(writing)
    assert found == ([b"A"] if begin else [])
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        (["order_id,status\nA,new\n", 'B,"new\nold"\n', "C,"], [b"A", b"B"]),
        (['{"order_id":"A"}\n', '{"order_id":"B"}\n'], [b"A", b"B"]),
        (['[{"order_id":"A"},\n', '{"order_id":"B"},'], [b"A", b"B"]),
    ],
    ids=["csv", "lines", "array"],
)
def test_each_record_of_a_pipe_is_a_message_at_once(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], keys: list[bytes]
) -> None:
    reading, writing = os.pipe()
    stop, contract = ProducerStop(), rich_contract("orders")
    monkeypatch.setattr(sent, "standard_input_descriptor", lambda: reading)
    records = sent.FileRecords(NamedInput("orders", "t", contract, contract.id_fields), "-")
    messages = records.messages(Settings(), stop)
    timer = threading.Timer(5, stop.request)
    timer.start()

    for line, key in zip(lines, keys, strict=False):
        os.write(writing, line.encode())
        assert next(messages).key == key

    timer.cancel()
    os.close(writing)
    os.close(reading)
