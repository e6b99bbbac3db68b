"""Strict JSON, case by case: what a strict parser (RFC 8259) takes and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_jobs.transforms.parse import (
    has_key,
    is_json_string,
    text_or_number,
    with_members,
    with_record,
)

SCHEMA = (
    T.StructType()
    .add("a", "string")
    .add("p", T.StructType().add("b", "string").add("q", T.StructType().add("c", "string")))
)

FLAT_SCHEMA = T.StructType().add("a", "string").add("b", "string")
Read = Callable[[DataFrame], DataFrame]
NESTED, FLAT = (partial(with_record, schema=schema) for schema in (SCHEMA, FLAT_SCHEMA))
EACH_WAY = pytest.mark.parametrize(
    "read", [NESTED, FLAT, with_members], ids=["nested", "flat", "members"]
)

REFUSED: list[bytes | None] = [
    None,
    b"",
    b" ",
    b"\n",
    b"null",
    b"true",
    b"0",
    b"-1.5e3",
    b'"text"',
    b'"{}"',
    b"[]",
    b"[{}]",
    b'[{"a":"x"}]',
    b"{",
    b"}",
    b"{}}",
    b"{}]",
    b"{}{}",
    b"{} {}",
    b"{}\n{}",
    b"{},{}",
    b'{},"x":1',
    b'{}}{"o":{}',
    b'{"a":"x"},',
    b'{"a":"x"},{"a":"y"}',
    b'{"a":"x"},{"_seal":"1"}]',
    b'{"a":"x"},{"_seal":"1"},',
    b'{"a":"x","_seal":"1"}]',
    b'{}],"o":[{}',
    b'{}]},{"o":[{}',
    b'{}],"o":[{},{}',
    b'{"a":"x"}]junk',
    b'{"a":"x"}}junk',
    b"{}x",
    b"{} null",
    b"{}//c",
    b"{}/**/",
    b"/**/{}",
    b'{"a":"x" /* c */}',
    b'{"a":"x" // c\n}',
    b'# c\n{"a":"x"}',
    b"{'a':'x'}",
    b"{\"a\":'x'}",
    b"{a:1}",
    b'{"a":NaN}',
    b'{"a":-NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":+INF}',
    b'{"z":NaN}',
    b'{"a":01}',
    b'{"a":+1}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":0x10}',
    b'{"a":1e}',
    b'{"a":-}',
    b'{"a":True}',
    b'{"a":nul}',
    b'{"a":undefined}',
    b'{"a"}',
    b'{"a":}',
    b'{"a" "x"}',
    b'{"a":"x",}',
    b'{,"a":"x"}',
    b'{"a":"x" "p":1}',
    b'{"a":["x",]}',
    b'{"a":[1 2]}',
    b'{"z":{"y":[1,}}',
    b'{"a":"x',
    b'{"a":"x"',
    b'{"a":"line\nbreak"}',
    b'{"a":"tab\t"}',
    b'{"a":"nul\x00"}',
    b'{"a":"x"}\x00',
    b'{"a":"\\x41"}',
    b'{"a":"\\u12"}',
    b'{"a":"\\\'"}',
    b'\xef\xbb\xbf{"a":"x"}',
    b"\xfe\xff\x00{\x00}",
    b"{\x00}\x00",
    '{"a":"x"}'.encode("utf-16"),
    b'{"a":"\xff"}',
    b'{"a":"\xc3"}',
    b'{"a":"\xc0\xaf"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf4\x90\x80\x80"}',
    b'{"z":"\xe9t\xe9"}',
    b"\x80\x81\x82",
    b"\xc2\xa0{}",
    b"{}\xc2\xa0",
    b"{}\xc2\x85",
    b"\xe3\x80\x80{}",
    b"\x0b{}",
    b"{}\x0c",
    b"ticket_id;client_id",
]

# Text of `a`, or None where it is absent or null.
TAKEN: list[tuple[bytes, str | None]] = [
    (b"{}", None),
    (b" \t\r\n{ } \t\r\n", None),
    (b"{}\n\n\n", None),
    (b'{"a":"x"}', "x"),
    (b'{"a":null}', None),
    (b'{"A":"x"}', None),
    (b'{"\\u0061":"x"}', "x"),
    (b'{"a":"x","a":"y"}', "y"),
    (b'{"a":"x","a":null}', None),
    (b'{"a":"\\u0078\\n\\"\\\\\\/"}', 'x\n"\\/'),
    (b'{"a":"\\u0000"}', "\0"),
    (b'{"a":"\\ud83d\\ude00"}', "\U0001f600"),
    ('{"a":"\U0001f600\u00a0\u0085\u2028"}'.encode(), "\U0001f600\u00a0\u0085\u2028"),
    ('{"a":"\ufffd"}'.encode(), "\ufffd"),
    (b'{"a":"}"}', "}"),
    (b'{"a":"],[{"}', "],[{"),
    (b'{"a":"// no comment"}', "// no comment"),
    (b'{"a":""}', ""),
    (b'{"z":{"y":[1,{"x":null}]},"a":"x"}', "x"),
    (b'{"o":{"a":"y"},"_corrupt":"z","a":"x"}', "x"),
    (b'{"a":"' + b"x" * 1_000_000 + b'"}', "x" * 1_000_000),
    (b'{"p":"no object","a":"x"}', "x"),
    (b'{"p":[],"a":"x"}', "x"),
    (b'{"p":{"q":7},"a":"x"}', "x"),
]


# Whether `a` was a JSON string.
TYPES: list[tuple[str, bool]] = [
    ('{"a":"x"}', True),
    ('{"a":""}', True),
    ('{"a":"5"}', True),
    ('{"a":"true"}', True),
    ('{"a":"[1]"}', True),
    ('{"a":"{}"}', True),
    ('{"a":"\\"Infinity"}', True),
    ('{"a":"5,\\"a\\":5"}', True),
    ('{ "a" : "5" }', True),
    ('{"a":5}', False),
    ('{"a":-5.25e-3}', False),
    ('{"a":1e999}', False),
    ('{"a":true}', False),
    ('{"a":false}', False),
    ('{"a":{}}', False),
    ('{"a":{"a":"x"}}', False),
    ('{"a":[]}', False),
    ('{"a":["x"]}', False),
    ('{"a":[1,"x"]}', False),
    ('{"a":null}', False),
    ("{}", False),
    ('{"a":5,"a":"5"}', True),
    ('{"a":"5","a":5}', False),
    ('{"a":5,"a":"x"}', True),
    ('{"a":"x","a":["x"]}', False),
    ('{"\\u0061":5,"a":"5"}', True),
    ('{"z":{"a":5},"a":"5"}', True),
    ('{"a":"5","z":{"a":5}}', True),
    ('{"a":5,"z":{"a":"5"}}', False),
    ('{"a":"6","a":5,"z":{"a":"5"}}', False),
    ('{"a":6,"a":"5","z":{"a":5}}', True),
]

# Texts of `p.b` and `p.q.c`.
PARENTS: list[tuple[str, str | None, str | None]] = [
    ('{"p":{"b":"x","q":{"c":"y"}}}', "x", "y"),
    ('{"p":"{\\"b\\":\\"x\\"}"}', None, None),
    ('{"p":[{"b":"x"}]}', None, None),
    ('{"p":null}', None, None),
    ('{"p":3}', None, None),
    ('{"p":""}', None, None),
    ('{"p":{"b":"x","q":"{\\"c\\":\\"y\\"}"}}', "x", None),
    ('{"p":{"b":"x","q":[]}}', "x", None),
    ('{"p":3,"p":{"b":"x"}}', "x", None),
    ('{"p":{"b":"x"},"p":3}', None, None),
    ('{"p":{"b":"x"},"p":{"q":{"c":"y"}}}', None, "y"),
    ('{"p":{"q":3,"q":{"c":"y"}}}', None, "y"),
    ('{"p.b":"x"}', None, None),
    ("{}", None, None),
]

# JSON of an optional field, and the text taken from it.
OPTIONAL: list[tuple[str, str | None]] = [
    ('"x"', "x"),
    ("75002", "75002"),
    ("-7", "-7"),
    ("12345678901234567890123", "12345678901234567890123"),
    ("0.5", "0.5"),
    ("1.50", "1.50"),
    ("33612345678.0", "33612345678.0"),
    ("0.12345678901234567890123", "0.12345678901234567890123"),
    ("1e10", "10000000000"),
    ("1E+2", "100"),
    ("-12.345e1", "-123.45"),
    ("12.345e3", "12345"),
    ("12.345e-1", "1.2345"),
    ("12.345e-2", "0.12345"),
    ("12.345e-4", "0.0012345"),
    ("0.0012e3", "1.2"),
    ("0e0", "0"),
    ("1e400", "1" + "0" * 400),
    ("-1e400", "-1" + "0" * 400),
    ("1e1001", "1e1001"),
    ("1e99999999999", "1e99999999999"),
    ('"1.5E10"', "1.5E10"),
    ('"\\"Infinity\\""', '"Infinity"'),
    ('6,"b":"7.5"', "7.5"),
    ('"7.5","b":6.50,"z":{"b":"7.5"}', "6.50"),
    ('"true"', "true"),
    ('"[x]"', "[x]"),
    ("true", None),
    ("{}", None),
    ('["x"]', None),
    ("null", None),
]


@EACH_WAY
def test_anything_but_one_object_in_valid_utf8_is_no_record(
    frame: Callable[..., DataFrame], read: Read
) -> None:
    taken = frame(REFUSED).transform(read).where("record is not null").select("value")

    assert [bytes(row.value) for row in taken.collect()] == []


@EACH_WAY
def test_one_object_is_a_record_whatever_surrounds_and_fills_it(
    frame: Callable[..., DataFrame], read: Read
) -> None:
    messages = frame([value for value, _ in TAKEN])

    rows = messages.transform(read).orderBy("kafka_offset").select("record").collect()

    assert all(row.record is not None for row in rows)
    # A map's absent key is no key in Python; a struct's is None.
    texts = [row.record["a"] if "a" in row.record else None for row in rows]
    assert texts == [text for _, text in TAKEN]


def test_the_type_of_the_last_value_decides_what_is_a_string(
    frame: Callable[..., DataFrame],
) -> None:
    read = with_record(frame([value for value, _ in TYPES]), SCHEMA)

    answer = is_json_string(("a",), F.col("record.a")).alias("answer")
    rows = read.orderBy("kafka_offset").select("text", answer).collect()

    assert [(row.text, row.answer) for row in rows] == TYPES


def test_a_parent_that_is_no_object_counts_as_absent(frame: Callable[..., DataFrame]) -> None:
    read = with_record(frame([value for value, _, _ in PARENTS]), SCHEMA)

    rows = read.orderBy("kafka_offset").select("text", "record.p.b", "record.p.q.c").collect()

    assert [(row.text, row.b, row.c) for row in rows] == PARENTS


def test_an_optional_field_is_text_or_a_number(frame: Callable[..., DataFrame]) -> None:
    read = with_record(frame([f'{{"p":{{"b":{sent}}}}}' for sent, _ in OPTIONAL]), SCHEMA)

    text = text_or_number(("p", "b"), F.col("record.p.b")).alias("b")
    rows = read.orderBy("kafka_offset").select(text).collect()

    assert [row.b for row in rows] == [expected for _, expected in OPTIONAL]


def test_a_key_is_present_even_when_null_but_not_in_another_case(spark: SparkSession) -> None:
    texts = ['{"a":null}', '{"\\u0061":1}', '{"A":1}', '{"z":{"a":1}}', "{}", None]
    rows = spark.createDataFrame([(text,) for text in texts], "text string")

    answers = [row.answer for row in rows.select(has_key("a").alias("answer")).collect()]

    assert answers == [True, True, False, False, False, None]
