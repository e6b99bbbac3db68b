"""The contracts: their files, their loader, and what Spark makes of them."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
from pyspark.sql import types as T

from errors import ContractError
from schemas import contract as contracts
from schemas.contract import WHITE_SPACE, contract_from, load_contract
from schemas.spark import record_schema
from tests.support.builders import customer, french_ticket, profile, ticket

NAMES = ("ticket", "profile", "customer")
ADDRESS = [
    "location.street.number",
    "location.street.name",
    "location.city",
    "location.state",
    "location.country",
    "location.postcode",
]
SMALL: dict[str, Any] = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {
            "type": "string",
            "enum": ["x", "y"],
            "x-synonyms": {"z": "x"},
            "x-other-names": ["b"],
            "x-sensitivity": "public",
            "x-column": "a",
        },
        "p": {
            "type": "object",
            "properties": {"q": {"type": ["string", "null"], "x-sensitivity": "hashed"}},
        },
    },
}


def document(name: str) -> Any:
    return json.loads((contracts.SCHEMA_FOLDER / f"{name}.schema.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_schema_files_are_json_schema_2020_12(name: str) -> None:
    schema = document(name)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("ticket", ticket()),
        ("ticket", ticket(ticket_id="A1B2C3D4")),
        ("profile", profile()),
        ("customer", customer()),
        ("customer", customer(created_at="2024-01-02", city=...)),
    ],
)
def test_example_records_obey_their_schema(name: str, record: dict[str, Any]) -> None:
    jsonschema.validate(record, document(name))


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("ticket", french_ticket()),
        ("ticket", ticket(priority="urgent")),
        ("ticket", ticket(created_at="2026-11-22")),
        ("ticket", ticket(request="x" * 501)),
        ("ticket", ticket(client_id="CLIENT_")),
        ("profile", profile(login__uuid="1")),
        ("profile", profile(email="a@b@c")),
        ("profile", profile(name__last=...)),
        ("profile", profile(dob=...)),
        ("customer", customer(email="a b@c")),
        ("customer", customer(country=...)),
        ("customer", customer(created_at="2024-01-02Z")),
    ],
)
def test_records_that_break_a_rule_break_the_schema(name: str, record: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, document(name))


def test_the_ticket_contract_has_these_fields_in_this_order() -> None:
    fields = load_contract("ticket").fields

    assert [(field.name, field.sensitivity, field.other_names) for field in fields] == [
        ("ticket_id", "public", ()),
        ("client_id", "public", ()),
        ("created_at", "public", ()),
        ("request", "personal", ("demande",)),
        ("request_type", "public", ("type",)),
        ("priority", "public", ("priorite",)),
    ]
    assert all(field.required for field in fields)
    request = load_contract("ticket").field("request")
    assert (request.min_length, request.max_length, request.trim) == (1, 500, True)


def test_the_profile_contract_says_who_may_see_what() -> None:
    contract = load_contract("profile")
    by_sensitivity: dict[str, list[str]] = {}
    for field in contract.fields:
        by_sensitivity.setdefault(field.sensitivity, []).append(field.name)

    assert by_sensitivity["never"] == [
        f"login.{name}" for name in ("password", "salt", "md5", "sha1", "sha256")
    ]
    assert sorted(by_sensitivity["hashed"]) == sorted(["email", "phone", "cell", *ADDRESS])
    assert {"name.first", "name.last", "dob.date", "login.username"} <= {
        *by_sensitivity["personal"]
    }
    assert [field.name for field in contract.fields if field.required] == [
        "login.uuid",
        "name.first",
        "name.last",
        "email",
        "dob.date",
    ]


def test_every_field_that_randomuser_sends_is_declared() -> None:
    def leaves(node: Any, path: str = "") -> list[str]:
        if not isinstance(node, dict):
            return [path]
        return [leaf for k, v in node.items() for leaf in leaves(v, f"{path}.{k}".strip("."))]

    declared = {field.name for field in load_contract("profile").fields}

    assert set(leaves(profile())) <= declared


def test_synonyms_are_the_french_values() -> None:
    contract = load_contract("ticket")

    assert contract.field("request_type").synonyms == {
        "facturation": "billing",
        "technique": "technical",
        "support": "technical",
        "compte": "account",
        "général": "general",
    }
    assert contract.field("priority").spellings == {
        "low": "low",
        "medium": "medium",
        "high": "high",
        "critical": "critical",
        "basse": "low",
        "faible": "low",
        "moyenne": "medium",
        "normale": "medium",
        "haute": "high",
        "urgent": "critical",
        "urgente": "critical",
        "critique": "critical",
    }


def test_an_unknown_field_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ContractError, match="no field `clientid`; it has `ticket_id`"):
        load_contract("ticket").field("clientid")


def test_white_space_is_the_unicode_property() -> None:
    # Unicode 15.1, PropList.txt, White_Space: 25 code points.
    ranges = "9-d 20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000".split()
    points = set()
    for item in ranges:
        first, _, last = item.partition("-")
        points |= set(range(int(first, 16), int(last or first, 16) + 1))

    assert {ord(character) for character in WHITE_SPACE} == points
    assert len(WHITE_SPACE) == len(points) == 25
    pattern = load_contract("profile").field("email").pattern or ""
    assert not any(re.fullmatch(pattern, f"a@b{character}c") for character in WHITE_SPACE)
    assert re.fullmatch(pattern, "a@b\u200bc")


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("properties.a.x-sensitivity", "secret", "`a`: `x-sensitivity` is not one of public"),
        ("properties.a.x-sensitivity", ..., "`a`: `x-sensitivity` is not one of public"),
        ("properties.a.type", "text", "`a`: `type` is not made of string"),
        ("properties.a.type", ["string", "null"], "a required field must have the type `string`"),
        ("properties.a.x-synonyms", {"z": "w"}, "maps `z` to `w`, which is not in `enum`"),
        ("properties.a.x-synonyms", {"Z ": "x"}, "`Z ` is not trimmed and in lower case"),
        ("properties.a.x-other-names", ["p.q"], "`p.q`: two fields have this name"),
        ("properties.a.pattern", "[a-z]+", "must begin with `^` and end with `$`"),
        ("properties.a.pattern", "^[a-z$", "is not a regular expression"),
        ("properties.a.format", "ipv4", "`format` is not one of timestamp, date, uuid, email"),
        ("properties.a.minLenght", 1, "`a`: unknown keyword `minLenght`"),
        ("properties.a.x-sensitivity", "never", "can be neither required nor stored"),
        ("properties.p.properties", {}, "`p`: an object without `properties`"),
        ("properties.p.const", 1, "`p`: unknown keyword `const`"),
        ("properties.p", 5, "`p`: expected a JSON object"),
        ("required", ["a", "c"], "required `c` is not in `properties`"),
        ("type", "array", "`(root)`: expected a JSON object"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(path: str, value: Any, fault: str) -> None:
    schema = copy.deepcopy(SMALL)
    *parents, name = path.split(".")
    node = schema
    for parent in parents:
        node = node[parent]
    if value is ...:
        del node[name]
    else:
        node[name] = value

    with pytest.raises(ContractError, match=re.escape(fault)) as caught:
        contract_from("small", schema)
    assert "schemas/small.schema.json" in str(caught.value)


def test_all_faults_of_a_file_are_listed_together() -> None:
    schema = copy.deepcopy(SMALL)
    schema["properties"]["a"]["x-sensitivity"] = "secret"
    schema["required"] = ["c"]

    with pytest.raises(ContractError, match=r"breaks 2 rule\(s\)"):
        contract_from("small", schema)


def test_a_contract_that_the_project_does_not_have_is_refused() -> None:
    with pytest.raises(ContractError, match=r"Cannot read the parcel contract .*parcel\.schema"):
        load_contract("parcel")


def test_a_correct_file_is_taken() -> None:
    assert [field.name for field in contract_from("small", SMALL).fields] == ["a", "p.q"]


def test_the_spark_schema_holds_what_jobs_read_and_no_password() -> None:
    def texts(*names: str) -> list[T.StructField]:
        return [T.StructField(name, T.StringType()) for name in names]

    assert record_schema(load_contract("ticket")) == T.StructType(
        texts("ticket_id", "client_id", "created_at", "request", "demande")
        + texts("request_type", "type", "priority", "priorite")
    )
    street = T.StructField("street", T.StructType(texts("number", "name")))
    place = T.StructType([street, *texts("city", "state", "country", "postcode")])
    assert record_schema(load_contract("profile")) == T.StructType(
        [
            T.StructField("login", T.StructType(texts("uuid", "username"))),
            T.StructField("name", T.StructType(texts("title", "first", "last"))),
            *texts("email"),
            T.StructField("dob", T.StructType(texts("date"))),
            *texts("gender", "phone"),
            T.StructField("location", place),
            T.StructField("registered", T.StructType(texts("date"))),
            *texts("nat"),
        ]
    )
