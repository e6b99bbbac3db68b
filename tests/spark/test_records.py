"""Records of any contract: reasons, ids, objects, digests."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame

from producers.generate import TicketGenerator
from runtime.config.pipeline_folders import BUILT_IN
from schemas.contract import SCHEMA_FOLDER, Contract, contract_from
from settings import Settings
from spark_jobs.registry import pipeline_named
from spark_jobs.transforms.pseudonymise import Digests
from spark_jobs.transforms.records import classify_records, reason_codes
from spark_jobs.transforms.tickets import classify_tickets
from tests.support.builders import NOON
from tests.support.pipeline_folders import EXAMPLES

Frame = Callable[..., DataFrame]
PUBLIC = {"x-sensitivity": "public"}
ORDERS: dict[str, Any] = {
    "type": "object",
    "required": ["shop", "number", "customer", "note"],
    "properties": {
        "shop": {"type": "string", "x-id": True, "x-column": "shop", **PUBLIC},
        "number": {"type": "integer", "x-id": True, "x-column": "number", **PUBLIC},
        "at": {
            "type": "string",
            "format": "timestamp",
            "x-event-time": True,
            "x-column": "at",
            **PUBLIC,
        },
        "customer": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "x-column": "customer", **PUBLIC},
                "address": {
                    "type": "object",
                    "required": ["city"],
                    "properties": {
                        "city": {"type": "string", "x-column": "city", **PUBLIC},
                        "zip": {"type": ["string", "number"], "x-column": "zip", **PUBLIC},
                    },
                },
            },
        },
        "note": {
            "type": "object",
            "properties": {
                "text": {
                    "type": "string",
                    "x-other-names": ["note.TEXT", "remark"],
                    "x-column": "note",
                    **PUBLIC,
                }
            },
        },
    },
}
ORDER: dict[str, Any] = {
    "shop": "a",
    "number": 1,
    "customer": {"name": "Ada", "address": {"city": "Paris", "zip": 75002}},
    "note": {},
}


def orders() -> Contract:
    return contract_from("orders", ORDERS, stands_alone=True)


def order(**changes: Any) -> str:
    record = copy.deepcopy(ORDER) | changes
    return json.dumps({name: value for name, value in record.items() if value is not ...})


def classified(frame: Frame, records: list[Any]) -> list[Any]:
    return classify_records(frame(records), orders()).orderBy("kafka_offset").collect()


def test_a_valid_record_has_its_columns_and_its_id(frame: Frame) -> None:
    rows = classified(frame, [order(at="2026-11-22T10:00:00Z")])

    columns = ("record_id", "outcome", "shop", "number", "customer", "city", "zip", "note", "value")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("a|1", "valid", "a", 1, "Ada", "Paris", "75002", None, None)
    ]


def test_every_fault_has_its_reason(frame: Frame) -> None:
    cases: list[tuple[Any, list[str]]] = [
        (order(), []),
        ("{", ["unparseable"]),
        ('{"shop":NaN}', ["unparseable"]),
        (order() + "x", ["unparseable"]),
        ("{1:2}", ["unparseable"]),
        (None, ["unparseable"]),
        ("{}", ["missing_shop", "missing_number", "missing_customer_name", "missing_note"]),
        (order(shop=" ", number=None), ["missing_shop", "missing_number"]),
        (order(shop="x" * 255), []),
        (order(shop="x" * 256), ["invalid_shop"]),
        (order(shop=5, number="1"), ["invalid_shop", "invalid_number"]),
        (order(customer="Ada"), ["invalid_customer", "missing_customer_name"]),
        (order(customer=[ORDER["customer"]]), ["invalid_customer", "missing_customer_name"]),
        (order(customer={"name": "Ada"}), []),
        (order(customer={"name": "Ada", "address": None}), []),
        (order(customer={"name": "A", "address": {}}), ["missing_customer_address_city"]),
        (order(customer={"name": "A", "address": ""}), ["invalid_customer_address"]),
        (order(customer={"name": ["A"]}), ["invalid_customer_name"]),
        (order(note=...), ["missing_note"]),
        (order(note="x"), ["invalid_note"]),
        (order(note={"text": 5}), ["invalid_note_text"]),
        (order(at="2026-11-23T12:00:00Z"), []),
        (order(at="2026-11-23T12:00:00.001Z"), ["invalid_at"]),
        (order(at="2026-11-22"), ["invalid_at"]),
    ]

    rows = classified(frame, [record for record, _ in cases])

    found = [(record, row.reasons) for (record, _), row in zip(cases, rows, strict=True)]
    assert found == cases
    rejected = [row for row in rows if row.reasons]
    assert all(row.outcome == "rejected" and row.shop is None for row in rejected)
    assert [row.value is None for row in rejected] == [case[0] is None for case in cases if case[1]]


def test_a_kafka_timestamp_out_of_range_is_the_only_reason(frame: Frame) -> None:
    rows = classify_records(frame(["{}"], at=-1), orders()).collect()

    assert [row.reasons for row in rows] == [["invalid_kafka_timestamp"]]


def test_the_own_name_counts_before_others_even_when_null(frame: Frame) -> None:
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({"note": {"text": "a", "TEXT": "b"}, "remark": "c"}, "a"),
        ({"note": {"TEXT": "b"}, "remark": "c"}, "b"),
        ({"note": {}, "remark": "c"}, "c"),
        ({"note": {"text": None, "TEXT": "b"}, "remark": "c"}, None),
    ]

    rows = classified(frame, [order(**change) for change, _ in cases])

    assert [(row.outcome, row.note) for row in rows] == [("valid", note) for _, note in cases]


def test_of_repeated_keys_the_last_counts(frame: Frame) -> None:
    rows = classified(frame, [order()[:-1] + ', "number": 2, "number": 3}'])

    assert [row.number for row in rows] == [3]


def test_two_ids_are_equal_only_if_their_fields_are(frame: Frame) -> None:
    shops = ["a", "a|1", "a\\|1", "a\\"]

    rows = classified(frame, [order(shop=shop) for shop in shops])

    assert [row.record_id for row in rows] == ["a|1", "a\\|1|1", "a\\\\\\|1|1", "a\\\\|1"]


@pytest.mark.parametrize(
    ("keywords", "sent", "expected"),
    [
        ({"type": "string"}, "x|y", "x|y"),
        ({"type": "string"}, "0/5", " 0/5"),
        ({"type": "string"}, " 0/5", "  0/5"),
        ({"type": "integer"}, -5.0, "-5"),
        ({"type": "string", "format": "date"}, "2026-11-22", "2026-11-22"),
        ({"type": "integer", "x-epoch": "milliseconds"}, 1795347306007, "2026-11-22T11:35:06.007Z"),
    ],
)
def test_an_id_of_one_field_is_its_text(
    frame: Frame, keywords: dict[str, Any], sent: Any, expected: str
) -> None:
    field = keywords | PUBLIC | {"x-id": True, "x-column": "id"}
    document = {"type": "object", "required": ["id"], "properties": {"id": field}}

    frame_of_one = frame([json.dumps({"id": sent})])
    row = classify_records(frame_of_one, contract_from("one", document)).first()

    assert row is not None
    assert row.record_id == expected


def test_tickets_are_judged_as_by_their_own_module(frame: Frame) -> None:
    document = json.loads((SCHEMA_FOLDER / "ticket.schema.json").read_text("utf-8"))
    document["properties"]["ticket_id"]["x-id"] = True
    document["properties"]["created_at"]["x-event-time"] = True
    generator = TicketGenerator(7, invalid_ratio=0.5, clock=NOON.timestamp)
    records = [value for _, value in generator.messages(1_000)]

    ours = classify_records(frame(records), contract_from("tickets", document))
    theirs = classify_tickets(frame(records)).select(*ours.columns)

    assert ours.orderBy("kafka_offset").collect() == theirs.orderBy("kafka_offset").collect()


def codes_in(judged: DataFrame) -> set[str]:
    """Every reason code that stands in the plan of classified messages."""
    plan = judged.select("reasons")._jdf.queryExecution().analyzed().toString()  # noqa: SLF001
    return set(re.findall(r"\b(?:unparseable|(?:missing|invalid)_\w+)", plan))


def test_known_reasons_are_all_that_a_record_can_have(frame: Frame) -> None:
    expected = {"unparseable", "invalid_kafka_timestamp"}
    expected |= {f"missing_{name}" for name in ("shop", "number", "customer_name", "note")}
    expected |= {"missing_customer_address_city", "invalid_customer_address_city"}
    expected |= {f"invalid_{name}" for name in ("shop", "number", "at", "note", "note_text")}
    expected |= {"invalid_customer", "invalid_customer_name"}
    expected |= {"invalid_customer_address", "invalid_customer_address_zip"}

    assert reason_codes(orders()) == expected
    assert codes_in(classify_records(frame([]), orders())) == expected


@pytest.mark.parametrize("name", ["orders", "sensors", *BUILT_IN])
def test_known_reasons_of_a_pipeline_are_those_of_its_job(name: str, frame: Frame) -> None:
    pipeline = pipeline_named(name, Settings(_env_file=None, pipelines_path=EXAMPLES))

    in_plan = codes_in(pipeline.judge(frame([]), Digests.sha256()))

    known = reason_codes(pipeline.contract)
    # A job with code of its own leaves some of the contract's rules out.
    assert in_plan == (known if pipeline.classify_by is None else known & in_plan)
    assert len(in_plan) > 2


def test_hashed_fields_leave_only_as_digests(frame: Frame) -> None:
    fields = {
        way: {
            "type": "string",
            "x-sensitivity": "hashed",
            "x-normalise": way,
            "x-column": f"hashed_{way}",
        }
        for way in ("email", "phone", "address", "text")
    }
    key = PUBLIC | {"type": "string", "x-id": True, "x-column": "id"}
    document = {"type": "object", "required": ["id"], "properties": {"id": key, **fields}}
    people = contract_from("people", document, stands_alone=True)
    sent = {"email": " A@B.c ", "phone": "+1 (2)", "address": "1  Main\nSt", "text": " Ada "}
    normal = {"email": "a@b.c", "phone": "+12", "address": "1 main st", "text": "Ada"}
    records = frame([json.dumps({"id": "x", **sent})])

    row = classify_records(records, people, Digests.hmac_sha256("key")).first()

    assert row is not None
    assert {way: row[f"hashed_{way}"] for way in normal} == {
        way: hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()
        for way, text in normal.items()
    }
    assert len(row.hash_key_id) == 8
    with pytest.raises(ValueError, match="pass `digests`"):
        classify_records(records, people)


def test_without_a_key_hashed_fields_are_digested_as_received(frame: Frame) -> None:
    hashed = {"x-sensitivity": "hashed", "x-trim": True}
    fields: dict[str, dict[str, Any]] = {
        "mail": {"type": "string", "format": "email", "x-normalise": "email"},
        "code": {"type": ["string", "number"]},
        "token": {"type": "string", "format": "uuid"},
        "short": {"type": "string", "maxLength": 3},
    }
    properties = {name: hashed | each | {"x-column": name} for name, each in fields.items()}
    properties["id"] = PUBLIC | {"type": "string", "x-id": True, "x-column": "id"}
    document = {"type": "object", "required": ["id"], "properties": properties}
    people = contract_from("people", document, stands_alone=True)
    token = "A7155000-95F4-4B29-9D80-0AA0C2EE9F40"
    sent = f'{{"id":"x","mail":" A@B.c ","code":1.50,"token":"{token}","short":" abc "}}'

    row = classify_records(frame([sent]), people, Digests.sha256()).first()

    assert row is not None
    expected = {"mail": " A@B.c ", "code": "1.50", "token": token, "short": " abc "}
    assert {name: row[name] for name in expected} == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in expected.items()
    }


def test_each_column_has_the_type_of_the_table(frame: Frame) -> None:
    judged = classify_records(frame([]), orders())

    types = {field.column: field.stored_as.spark for field in orders().fields if field.column}
    assert dict(judged.select(*types).dtypes) == types


def test_messages_of_several_partitions_keep_their_place(frame: Frame) -> None:
    rows = classify_records(frame([order(), "{"], partition=3), orders()).collect()

    assert sorted((row.kafka_partition, row.kafka_offset) for row in rows) == [(3, 0), (3, 1)]
