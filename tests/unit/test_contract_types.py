"""Contracts of a user's pipeline: types, keywords, and every fault with its place."""

from __future__ import annotations

import copy
import json
from dataclasses import astuple
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_type

from errors import ContractError
from schemas.contract import Contract, load_contract, read_contract
from schemas.types import FORMATS, TYPES
from settings import PROJECT_ROOT

PUBLIC = {"x-sensitivity": "public"}
ORDER: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["order_id", "amount", "customer"],
    "properties": {
        "order_id": {"type": "string", "x-id": True, "x-column": "order_id", **PUBLIC},
        "amount": {
            "type": ["string", "number"],
            "format": "decimal",
            "x-precision": 12,
            "x-scale": 2,
            "minimum": 0.01,
            "x-column": "amount",
            **PUBLIC,
        },
        "quantity": {"type": "integer", "default": 1, "x-column": "quantity", **PUBLIC},
        "currency": {"type": "string", "enum": ["EUR", "USD"], "x-column": "currency", **PUBLIC},
        "paid_at": {
            "type": "integer",
            "x-epoch": "milliseconds",
            "x-event-time": True,
            "x-column": "paid_at",
            **PUBLIC,
        },
        "customer": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "integer", "x-column": "customer_id", **PUBLIC},
                "phone": {
                    "type": "string",
                    "x-sensitivity": "hashed",
                    "x-normalise": "phone",
                    "x-column": "phone",
                },
                "address": {
                    "type": ["object", "null"],
                    "required": ["city", "geo"],
                    "properties": {
                        "city": {"type": "string", **PUBLIC},
                        "street": {"type": "string", **PUBLIC},
                        "geo": {
                            "type": "object",
                            "required": ["lat"],
                            "properties": {"lat": {"type": "number", **PUBLIC}},
                        },
                    },
                },
            },
        },
        "tags": {
            "type": "array",
            "items": {"type": "string", "maxLength": 20},
            "x-column": "tags",
            **PUBLIC,
        },
    },
}


def read(folder: Path, document: Any) -> Contract:
    path = folder / "contract.schema.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_contract(path, "orders")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The order's contract with one change; `...` takes a keyword away."""
    document = copy.deepcopy(ORDER)
    *parents, name = path.split("/")
    node = document
    for parent in parents:
        node = node[parent]
    if value is ...:
        del node[name]
    else:
        node[name] = value
    return document


def test_a_contract_is_read_from_any_folder(tmp_path: Path) -> None:
    contract = read(tmp_path, ORDER)

    assert [(field.name, field.kind, field.required) for field in contract.fields] == [
        ("order_id", "string", True),
        ("amount", "decimal", True),
        ("quantity", "integer", False),
        ("currency", "string", False),
        ("paid_at", "timestamp", False),
        ("customer.id", "integer", True),
        ("customer.phone", "string", False),
        ("customer.address.city", "string", False),
        ("customer.address.street", "string", False),
        ("customer.address.geo.lat", "number", False),
        ("tags", "string", False),
    ]
    assert [(each.name, each.required) for each in contract.objects] == [
        ("customer", True),
        ("customer.address", False),
        ("customer.address.geo", False),
    ]
    assert [field.name for field in contract.id_fields] == ["order_id"]
    assert contract.event_time == contract.field("paid_at")


def test_a_field_of_an_optional_object_is_required_only_with_it(tmp_path: Path) -> None:
    fields = read(tmp_path, ORDER).fields

    assert {f.name: f.required_within for f in fields if f.required_within} == {
        "customer.address.city": "customer.address",
        "customer.address.geo.lat": "customer.address",
    }


def test_an_id_is_short_enough_for_a_key_of_every_store(tmp_path: Path) -> None:
    assert read(tmp_path, ORDER).field("order_id").max_length == 255
    shorter = changed("properties/order_id/maxLength", 20)
    assert read(tmp_path, shorter).field("order_id").max_length == 20


def test_numbers_of_a_contract_are_exact(tmp_path: Path) -> None:
    amount = read(tmp_path, ORDER).field("amount")

    assert (amount.minimum, amount.precision, amount.scale) == (Decimal("0.01"), 12, 2)


def test_every_field_has_its_type_in_every_store(tmp_path: Path) -> None:
    contract = read(tmp_path, ORDER)
    types = {field.name: field.stored_as for field in contract.fields}

    amount = types["amount"]
    assert (amount.spark, amount.postgresql, amount.parquet) == (
        "decimal(12,2)",
        "numeric(12,2)",
        "decimal128(12,2)",
    )
    tags = types["tags"]
    assert (tags.spark, tags.cassandra, tags.postgresql) == (
        "array<string>",
        "list<text>",
        "text[]",
    )
    assert (types["paid_at"].spark, types["quantity"].cassandra) == ("timestamp", "bigint")
    assert types["customer.phone"].postgresql == "text"


def test_a_format_has_the_form_that_the_built_in_contracts_use() -> None:
    assert load_contract("ticket").field("created_at").pattern == FORMATS["timestamp"]
    assert load_contract("profile").field("login.uuid").pattern == FORMATS["uuid"]
    assert load_contract("profile").field("email").pattern == FORMATS["email"]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("properties/quantity/type", "int", "`quantity`: `type` is not made of string, integer"),
        ("properties/quantity/type", ["integer", "boolean"], "`quantity`: `type` is not made of"),
        ("properties/quantity/type", 5, "`quantity`: `type` is not made of string"),
        ("properties/quantity/x-sensitivity", ..., "`quantity`: `x-sensitivity` is not one of"),
        ("properties/quantity/minimum", "1", "`quantity`: `minimum`: "),
        ("properties/quantity/minimum", True, "`quantity`: `minimum`: "),
        ("properties/quantity/maximum", 2**64, "of an integer are at most 64 bits"),
        ("properties/quantity/default", "1", "`default` is not an integer of 64 bits"),
        ("properties/quantity/default", 2**63, "`default` is not an integer of 64 bits"),
        ("properties/quantity/default", None, "`default` is null; leave it out"),
        ("properties/quantity/minLength", 1, "`maxLength` are only for strings"),
        ("properties/quantity/format", "timestamp", "`timestamp` needs the type `string`"),
        ("properties/quantity/x-trim", True, "`x-trim` is only for strings"),
        ("properties/quantity/x-column", "Quantity", "`Quantity` is not lower-case letters"),
        ("properties/quantity/x-column", "value", "every message has a column `value`"),
        ("properties/quantity/x-column", "amount", "two fields feed `amount`"),
        ("properties/quantity/x-epoch", "days", "`x-epoch` is not one of seconds, milliseconds"),
        ("properties/quantity/x-event-time", True, "`x-event-time` needs the format"),
        ("properties/quantity/x-sensitivity", "hashed", "`hashed` needs a text"),
        ("properties/quantity/x-normalise", "text", "`x-normalise` is only for `hashed`"),
        ("properties/quantity/minumum", 1, "`minumum`; did you mean `minimum`?"),
        ("properties/quantity/exclusiveMinimum", 0, "unknown keyword `exclusiveMinimum`"),
        ("properties/order_id/x-id", "yes", "`order_id`: `x-id`: "),
        ("properties/order_id/x-id", ..., "no field has `x-id`"),
        ("properties/order_id/x-column", ..., "need an `x-column`"),
        ("properties/order_id/x-coerce", True, "`x-coerce` is only for a number or boolean"),
        ("properties/order_id/default", "x", "a required field has no `default`"),
        ("properties/order_id/x-sensitivity", "hashed", "`x-id` cannot be `hashed`"),
        ("properties/order_id/pattern", "^(?P<n>a)$", "which only Python knows"),
        ("properties/order_id/pattern", "^[[a]$", "`pattern` is not a regular expression"),
        ("properties/order_id/minLength", -1, "`order_id`: `minLength`: "),
        ("properties/amount/x-scale", ..., "needs `x-precision` and `x-scale`"),
        ("properties/amount/x-scale", 13, "`x-scale` is greater than `x-precision`"),
        ("properties/amount/x-precision", 39, "`amount`: `x-precision`: "),
        ("properties/amount/type", "boolean", "`decimal` needs the type `string`, `number`"),
        ("properties/amount/minimum", 0.001, "have more digits than `x-precision`"),
        ("properties/amount/maximum", 1e11, "have more digits than `x-precision`"),
        ("properties/order_id/maxLength", 2**31, "should be less than 2147483648"),
        ("properties/order_id/maxLength", 256, "`maxLength` of an `x-id` is at most 255"),
        ("properties/customer/properties/address/properties/city/x-id", True, "`x-id` needs a req"),
        ("properties/amount/maximum", 0, "`minimum` is greater than `maximum`"),
        ("properties/amount/x-id", True, "`x-id` needs a string, an integer"),
        ("properties/currency/enum", ["EUR", "eur"], "differ only in case"),
        ("properties/currency/enum", ["EUR", 1], "`enum` has a value that is not of type string"),
        ("properties/currency/enum", [], "`currency`: `enum`: "),
        ("properties/currency/default", "CHF", "`default` is not in `enum`"),
        ("properties/currency/x-id", True, "`x-id` needs a required field"),
        ("properties/tags/items", ..., "`items` needs a `type`"),
        ("properties/tags/items", {"type": "object"}, "`items` needs a `type`"),
        ("properties/tags/items", {"type": ["string", "null"]}, "`items` needs a `type`"),
        ("properties/tags/items/const", 1, "`items`: unknown keyword `const`"),
        ("properties/tags/maxLength", 5, "`maxLength` of an array belongs into `items`"),
        ("properties/tags/default", ["a", 1], "`default` is not a text"),
        ("properties/tags/x-id", True, "`x-id` needs a string"),
        ("properties/order id", PUBLIC | {"type": "string"}, "`order id`: a name has letters"),
        ("properties/customer_id", PUBLIC | {"type": "string"}, "`customer_id`: two fields would"),
        ("properties/paid", PUBLIC | {"type": "string"}, ""),
        ("properties/customer/required", "id", "`customer`: `required` is not a list of names"),
        ("properties/customer/required", [["id"]], "`customer`: `required` is not a list"),
    ],
)
def test_a_contract_that_breaks_a_rule_is_refused_with_its_place(
    tmp_path: Path, path: str, value: Any, fault: str
) -> None:
    document = changed(path, value)
    if not fault:
        assert read(tmp_path, document).field("paid").kind == "string"
        return

    with pytest.raises(ContractError) as caught:
        read(tmp_path, document)
    assert fault in str(caught.value)
    assert f"Correct `{tmp_path}/contract.schema.json`" in str(caught.value)


def test_comments_and_descriptions_change_nothing(tmp_path: Path) -> None:
    document = changed("properties/customer/$comment", "nested in every sample")
    document["properties"]["quantity"] |= {"$comment": "9 of 10 lines", "description": "pieces"}
    document["properties"]["tags"]["items"]["$comment"] = "free text"

    assert read(tmp_path, document) == read(tmp_path, ORDER)


def test_what_is_kept_for_a_contract_is_found_for_an_equal_one(tmp_path: Path) -> None:
    document = changed("properties/tags/default", ["new", "old"])
    first, second = (read(tmp_path, document) for _ in range(2))

    assert {first: "columns"}[second] == "columns"


def test_more_than_one_event_time_is_refused(tmp_path: Path) -> None:
    sent = PUBLIC | {
        "type": "string",
        "format": "timestamp",
        "x-event-time": True,
        "x-column": "sent",
    }

    with pytest.raises(ContractError, match="`x-event-time`: more than one field has it"):
        read(tmp_path, changed("properties/sent", sent))


def test_all_faults_of_a_contract_are_listed_at_once(tmp_path: Path) -> None:
    document = changed("properties/order_id/x-id", ...)
    document["properties"]["quantity"] |= {"x-sensitivity": "secret", "minimum": "0"}
    document["properties"]["currency"]["enum"] = ["EUR", "eur"]
    document["required"].append("price")

    with pytest.raises(ContractError) as caught:
        read(tmp_path, document)

    listed = str(caught.value).splitlines()
    assert listed[0] == "The orders contract breaks 5 rule(s):"
    assert [line.split(": ")[0] for line in listed[1:6]] == [
        "  - `(root)`",
        "  - `currency`",
        "  - `quantity`",
        "  - `quantity`",
        "  - no field has `x-id`; set it on the field, or fields, that identify a record",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "Expecting value"),
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ('{"type": "object", "properties": {"a": {}, "a": {}}}', "an object has `a` twice"),
        ('{"type": "object", "minimum": NaN}', "`NaN` is not JSON"),
        ('{"type": "object", "properties": {"a": 1}}', "`a`: expected a JSON object"),
        ('{"type": "object", "properties": {"a": {}}}', "`a`: `type` is not made of"),
        ("[" * 100_000, "Cannot read the orders contract"),
    ],
)
def test_a_file_that_is_no_contract_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(tmp_path, text)
    assert fault in str(caught.value)


def test_a_contract_that_is_not_there_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"Cannot read the orders contract .*absent.json"):
        read_contract(tmp_path / "absent.json", "orders")


PAGE = (PROJECT_ROOT / "docs/your-own-pipeline.md").read_text(encoding="utf-8")


def test_the_page_has_the_types_of_every_store() -> None:
    table = PAGE.partition("### Types in every store")[2].partition("###")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]

    assert rows[0][1:] == ["Spark", "Cassandra", "PostgreSQL", "MongoDB", "Parquet", "CSV and JSON"]
    assert rows[2:] == [
        [kind, *(f"`{name}`" for name in astuple(stored)[:-1]), stored.text]
        for kind, stored in TYPES.items()
    ]


def test_the_contract_on_the_page_is_one(tmp_path: Path) -> None:
    contract = read(tmp_path, PAGE.partition("```json\n")[2].partition("```")[0])

    assert [field.column for field in contract.fields] == [
        *("order_id", "amount", "quantity", "created_at", "tags", "customer_email")
    ]


def test_parquet_files_have_the_types_that_the_table_says() -> None:
    spark_types = {
        "string": T.StringType(),
        "bigint": T.LongType(),
        "double": T.DoubleType(),
        "boolean": T.BooleanType(),
        "decimal(12,2)": T.DecimalType(12, 2),
        "timestamp": T.TimestampType(),
        "date": T.DateType(),
    }

    for kind, stored in TYPES.items():
        exact = stored.with_digits(12, 2)
        assert spark_types[exact.spark].simpleString() == exact.spark
        assert str(to_arrow_type(spark_types[exact.spark])).replace(" ", "") == (
            exact.parquet.replace(" ", "")
        ), kind
