"""Names, tables, aggregates and files that `millrace new` writes."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from operations.masking import MASK, masked_value
from operations.new.declaration import declaration
from operations.new.plan import TablePlan
from operations.new.proposal import Proposal, proposal
from operations.new.sample import Sample
from producers.never_sent import NeverSent
from producers.record_keys import message_key
from schemas.contract import contract_from

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = "2026-01-02T03:04:05Z"


def proposed(records: Sequence[dict[str, Any]], kind: str = "json") -> Proposal:
    read = json.loads(json.dumps(records), parse_float=Decimal)
    return proposal(Sample("sample.jsonl", kind, read), "orders", (), NOW)


def by_column(made: Proposal) -> dict[str | None, tuple[tuple[str, ...], str | None]]:
    return {each.column: (each.path, each.sent_as) for each in made.fields}


def test_every_field_has_a_name_and_a_column_that_all_stores_take() -> None:
    record = {
        "id": "a1",
        "Gift Wrap": 1,
        "gift-wrap": 2,
        "ID": 3,
        "Straße": "x1",
        "2nd": 4,
        "order": 5,
        "kafka_offset": 6,
        "day": 7,
        "名前": 8,
        "a.b": 9,
        "customer": {"id": 10, "a b": 11},
        "customer_id": 12,
        "x" * 200: 13,
        "deep": {"er": {"x" * 60: 14}},
    }

    assert by_column(proposed([record])) == {
        "id": (("id",), None),
        "gift_wrap": (("gift_wrap",), "Gift Wrap"),
        "gift_wrap_2": (("gift_wrap_2",), "gift-wrap"),
        "id_2": (("id_2",), "ID"),
        "strasse": (("strasse",), "Straße"),
        "field_2nd": (("field_2nd",), "2nd"),
        "order_value": (("order",), None),
        "kafka_offset_value": (("kafka_offset",), None),
        "day_value": (("day",), None),
        "field": (("field",), "名前"),
        "a_b": (("a_b",), "a\\.b"),
        "customer_id": (("customer", "id"), None),
        "customer_a_b": (("customer_a_b",), "customer.a b"),
        "customer_id_2": (("customer_id_2",), "customer_id"),
        "x" * 48: (("x" * 128,), "x" * 200),
        f"{'x' * 46}_2": (("deep", "er", "x" * 60), None),
    }


def test_no_column_has_a_name_that_documents_or_tables_have_for_themselves() -> None:
    record = {"id": 1, "applied": "x", "updated_at": "x", "count": 2, "event_hour": "x"}

    assert [*by_column(proposed([record]))] == [
        "id",
        "applied_value",
        "updated_at_value",
        "count_value",
        "event_hour_value",
    ]


def test_a_name_with_a_dot_is_found_wherever_messages_are_read() -> None:
    record = {
        "record.id": "r1",
        "user.email": "a@example.com",
        "http.method": "GET",
        "pass.word": 1,
    }
    record |= {"db.password": "x"}
    contract = contract_from("orders", proposed([record]).contract, stands_alone=True)

    assert message_key(contract.id_fields, record) == b"r1"
    removed = NeverSent(contract).removed(json.dumps(record).encode())
    assert removed is not None
    assert json.loads(removed).keys() == record.keys() - {"db.password"}
    assert json.loads(masked_value(removed, contract)) == {
        "record.id": "r1",
        "user.email": MASK,
        "http.method": "GET",
        "pass.word": 1,
    }


def test_a_new_name_is_none_that_messages_have() -> None:
    made = proposed([{"id": 1, "-": {"total": 5}, "total": [{"left": "out"}]}])

    assert by_column(made)["total"] == (("total_2",), "-.total")


def test_what_is_required_was_there_in_every_record() -> None:
    records = [
        {"id": 1, "a": 1, "o": {"x": 1, "y": 1}, "p": {"z": 1}, "gift wrap": 1},
        {"id": 2, "a": " ", "o": {"x": 2, "y": None}},
    ]

    contract = proposed(records).contract

    assert contract["required"] == ["id", "o"]
    assert contract["properties"]["o"]["required"] == ["x"]
    # Required only where the optional object is there.
    assert contract["properties"]["p"]["required"] == ["z"]


def test_every_guess_has_its_reason() -> None:
    contract = proposed([{"id": n, "email": "a@example.com", "at": AT} for n in range(2)]).contract

    assert {name: leaf["$comment"] for name, leaf in contract["properties"].items()} == {
        "id": "integer in all 2 records; the id: no other record of 2 has it",
        "email": "email in all 2 records; personal: its name means an e-mail address;"
        " stored as a digest",
        "at": "timestamp in all 2 records; the event time: its name and type say so",
    }


def test_personal_data_of_any_type_is_a_digest_of_its_text() -> None:
    record = {
        "id": 1,
        "phone": 33612345678,
        "birth": "1990-01-02",
        "password": "x",
        "emails": ["a@example.com"],
    }

    made = proposed([record])

    leaves = made.contract["properties"]
    assert leaves["phone"]["type"] == ["string", "number"]
    assert leaves["phone"]["x-normalise"] == "phone"
    assert leaves["birth"]["type"] == "string"
    assert "format" not in leaves["birth"]
    assert leaves["password"]["x-sensitivity"] == "never"
    assert "x-column" not in leaves["password"]
    assert [each.name for each in made.left] == ["emails"]
    assert "hash_key_id" in [column.name for column in made.plan.columns]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("api_keys", ["sk-1111", "sk-2222"], "array"),
        ("passwords", ["p1111"], "array"),
        ("secret key", ["p1111"], "array"),
        ("pins", [1111], "array"),
        ("cvv", [[1111]], "array"),
        ("apiKeys", [{"value": "sk-1111"}], "array"),
        ("users", [{"name": "a", "login": {"password": "p1111"}}], "array"),
        ("secrets", ["s1111", None, True], "array"),
        ("secret", [], "array"),
        ("password", None, "string"),
        ("password", {}, "string"),
    ],
)
def test_a_secret_of_any_form_is_known_to_send_and_removed(
    name: str, value: Any, kind: str
) -> None:
    record = {"order_id": "A-1", "deep": {name: value, "size": 1}, "status": "new"}

    made = proposed([record])

    contract = contract_from("orders", made.contract, stands_alone=True)
    assert [(f.types, f.column) for f in contract.fields if f.sensitivity == "never"] == [
        ((kind,), None)
    ]
    assert NeverSent(contract).removed(json.dumps(record).encode()) == (
        b'{"order_id":"A-1","deep":{"size":1},"status":"new"}'
    )
    assert made.left == []
    assert not any("1111" in text for text in made.files("").values())


def test_what_an_object_of_secrets_has_is_a_secret_too() -> None:
    keys = {"live": "sk-1111", "test": {"first": "sk-2222"}, "count": 2, "made": "2026-01-02"}

    made = proposed([{"id": 1, "api_keys": keys, "size": 3}])

    contract = contract_from("orders", made.contract, stands_alone=True)
    assert [f.name for f in contract.fields if f.sensitivity == "never"] == [
        "api_keys.live",
        "api_keys.test.first",
    ]


def test_a_map_of_secrets_is_removed_as_a_whole() -> None:
    made = proposed([{"id": n, "passwords": {f"user{n}": "x"}} for n in range(60)])

    contract = contract_from("orders", made.contract, stands_alone=True)
    assert NeverSent(contract).removed(b'{"id":1,"passwords":{"user99":"x"}}') == b'{"id":1}'


def test_a_secret_beyond_the_most_fields_is_not_left_out() -> None:
    wide = {f"f{n}": n for n in range(400)}

    made = proposed([{"id": 1, **wide}, {"id": 2, **wide, "password": "x"}])

    assert [each.path for each in made.fields if each.sensitivity == "never"] == [("password",)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("items", [{"sku": "a"}]),
        ("logins", [{"has_password": True, "password_changed": "2026-01-02"}]),
        ("emails", ["a@example.com"]),
        ("password_count", None),
    ],
)
def test_what_is_no_secret_is_left_out_as_it_was(name: str, value: Any) -> None:
    made = proposed([{"id": 1, name: value}])

    assert [each.name for each in made.left] == [name]
    assert [each.path for each in made.fields] == [("id",)]


def second(made: Proposal) -> TablePlan:
    return made.plan.tables[1]


def records(count: int = 6, **more: Any) -> list[dict[str, Any]]:
    return [{"id": n, "amount": 1.5, **more} for n in range(count)]


def test_a_dimension_and_a_day_are_the_key_of_the_second_table() -> None:
    made = proposed([{**r, "at": AT, "status": "ab"[n % 2]} for n, r in enumerate(records())])

    assert made.plan.tables[0].partition == ("id",)
    assert second(made).name == "orders_by_status"
    assert second(made).partition == ("status", "event_day")
    assert second(made).clustering == ("at", "id")
    assert made.plan.derived == {"event_day": "to_date(at)"}
    assert made.plan.file_day == "at"
    assert [(each.name, each.by) for each in made.plan.aggregates] == [
        ("orders_metrics", ('day("at")',)),
        ("orders_by_status", ('day("at")', '"status"')),
    ]
    assert made.plan.aggregates[0].measures == {
        "count": "count()",
        "total_amount": 'total("amount")',
    }


@pytest.mark.parametrize(
    ("more", "days", "measures"),
    [
        ({"count": "2026-01-02"}, ('"count_value"',), ["count", "total_amount"]),
        # The day's own field has this name.
        ({"total_amount": "2026-01-02"}, ('"total_amount"',), ["count"]),
    ],
)
def test_a_name_in_a_document_has_one_meaning(
    more: dict[str, Any], days: tuple[str, ...], measures: list[str]
) -> None:
    metrics = proposed([{**record, **more} for record in records()]).plan.aggregates[0]

    assert metrics.by == days
    assert [*metrics.measures] == measures


def test_records_are_not_grouped_by_persons() -> None:
    made = proposed(
        [
            {**r, "customer": {"id": f"c{n % 2}", "country": "ab"[n % 2]}, "user": "xy"[n % 2]}
            for n, r in enumerate(records())
        ]
    )

    assert [each.name for each in made.plan.aggregates] == [
        "orders_metrics",
        "orders_by_customer_country",
    ]
    assert made.plan.aggregates[0].measures["distinct_customer_id"] == 'distinct("customer_id")'


def test_without_a_dimension_a_day_has_shards() -> None:
    made = proposed(records(at=AT))

    assert second(made).partition == ("event_day", "shard")
    assert second(made).shards == 16
    assert "shards=16" in declaration(made.plan)


def test_without_a_time_a_dimension_has_shards_and_without_both_there_is_no_second_table() -> None:
    made = proposed([{**r, "status": "ab"[n % 2]} for n, r in enumerate(records())])

    assert second(made).partition == ("status", "shard")
    assert second(made).clustering == ("id",)
    assert made.plan.file_day is None
    assert len(proposed(records()).plan.tables) == 1


def test_a_dimension_that_may_be_absent_has_a_stand_in() -> None:
    sent = [{**r, "at": AT, "status": "ab"[n % 2]} for n, r in enumerate(records())]

    made = proposed([*sent, {"id": 9, "amount": 1, "at": AT}])

    assert second(made).stand_ins == {"status": "unknown"}


def test_a_time_that_may_be_absent_falls_back_on_the_messages() -> None:
    made = proposed([*records(at=AT), {"id": 9}])

    assert made.plan.derived["at_utc"] == "coalesce(at, kafka_timestamp)"
    assert made.plan.file_day == "at_utc"
    assert "at_utc" in [column.name for column in made.plan.columns]


def test_a_day_as_event_time_is_its_own_bucket() -> None:
    made = proposed(records(booked="2026-01-02"))

    assert second(made).partition == ("booked", "shard")
    assert made.plan.aggregates[0].by == ('"booked"',)


def test_a_device_is_looked_up_by_itself_and_the_day() -> None:
    sent = [
        {"sensor_id": s, "ts": 1_767_323_045 + n, "value": 1} for s in ("a", "b") for n in range(9)
    ]

    made = proposed(sent)

    assert made.plan.ids == ("sensor_id", "ts")
    assert second(made).partition == ("sensor_id", "event_day")
    assert second(made).clustering == ("ts",)


def test_many_records_a_day_are_kept_by_the_hour() -> None:
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    sent = [
        {"id": n, "at": (begin + timedelta(milliseconds=20 * n)).isoformat()} for n in range(1000)
    ]

    assert second(proposed(sent)).partition == ("event_hour", "shard")


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_the_example_of_the_test_has_no_personal_data_of_the_sample(kind: str) -> None:
    record = {
        "id": "7",
        "name": "Ada Lovelace",
        "email": "ada@lovelace.example",
        "phone": "+44 20 7946 0000",
        "address": "12 St James's Square",
        "password": "secret",
        "gift wrap": "yes",
        "amount": "12.30",
    }

    source = proposed([record], kind).files("")["test_pipeline.py"]

    tree = ast.parse(source)
    value = next(
        n.value for n in tree.body if isinstance(n, ast.Assign) and "RECORD" in ast.dump(n)
    )
    assert ast.literal_eval(value) == {
        "id": "7",
        "name": "example",
        "email": "someone@example.com",
        "phone": "+1 202 555 0100",
        "address": "1 Example Street",
        "gift wrap": "yes",
        "amount": "12.30",
    }
    assert "Lovelace" not in source


def test_a_wide_sample_and_a_single_record_become_pipelines(tmp_path: Path) -> None:
    wide = [{"id": n, **{f"field_{f}": n * f for f in range(200)}} for n in range(9)]

    made = proposed(wide)

    assert len(contract_from("orders", made.contract, stands_alone=True).fields) == 201
    assert len(proposed([{"id": 1}]).files("")) == 6
    assert len(proposed([{"id": 1, **{f"f{n}": 1 for n in range(600)}}]).fields) == 400
