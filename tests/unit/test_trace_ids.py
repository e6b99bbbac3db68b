"""What id was typed, and whether a message has it."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from operations.trace.find import wanted_id
from operations.trace.ids import columns_of, id_of_text, text_of_id
from operations.trace.search import Wanted
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in, load_pipeline
from tests.support.builders import french_ticket, profile, ticket
from tests.support.pipeline_folders import EXAMPLES

moment = datetime.fromisoformat
BUILT_IN = {each.name: each for each in built_in()}
ORDERS = load_pipeline(EXAMPLES / "orders")
SENSORS = load_pipeline(EXAMPLES / "sensors")
MOMENT = moment("2024-11-22T10:06:40")
UUID = "a7155000-95f4-4b29-9d80-0aa0c2ee9f40"


@pytest.mark.parametrize(
    ("pipeline", "text", "columns"),
    [
        (ORDERS, "A-1", {"order_id": "A-1"}),
        # As the ledger writes it, and as the message has it.
        (SENSORS, "roof-1|2024-11-22T10:06:40.000Z", {"sensor_id": "roof-1", "at": MOMENT}),
        (SENSORS, "roof-1|1732270000000", {"sensor_id": "roof-1", "at": MOMENT}),
        (SENSORS, "roof-1", None),
        (SENSORS, "roof-1|soon", None),
        (SENSORS, r"a\|b\\|1732270000000", {"sensor_id": "a|b\\", "at": MOMENT}),
        (BUILT_IN["profiles"], UUID.upper(), {"identifiant": UUID}),
        (BUILT_IN["profiles"], "no uuid", None),
        (BUILT_IN["tickets"], "a|b", {"ticket_id": "a|b"}),
    ],
)
def test_id_is_read_as_its_columns_and_written_as_the_ledger_writes_it(
    pipeline: Pipeline, text: str, columns: dict[str, Any] | None
) -> None:
    assert id_of_text(pipeline, text) == columns
    if columns:
        written = text_of_id(pipeline, columns)
        assert written is not None
        assert id_of_text(pipeline, written) == columns


def test_values_of_a_message_are_those_of_its_row() -> None:
    message = {
        "order_id": "A-1",
        "created_at": "2026-11-22T11:11:12.3456+01:00",
        "status": "PAID ",
        "amount": "12.30",
        "currency": "eur",
        "items": ["tea"],
        "customer": {"id": "C-1", "email": "ada@example.com"},
    }

    assert columns_of(ORDERS, message) == {
        "order_id": "A-1",
        "created_at": moment("2026-11-22T10:11:12.345000"),
        "status": "paid",
        "amount": Decimal("12.30"),
        "currency": "EUR",
        "express": False,
        "customer_id": "C-1",
    }


@pytest.mark.parametrize(
    ("pipeline", "field", "sent"),
    [
        *(
            (ORDERS, "express", "maybe"),
            (ORDERS, "amount", "sNaN"),
            (ORDERS, "amount", "1e1000000"),
            (ORDERS, "order_id", "A\ud800"),
        ),
        # A number that no integer can be made of in time.
        *((SENSORS, "battery", 7.5), (SENSORS, "battery", Decimal("1e999999999"))),
    ],
)
def test_value_that_no_row_can_have_is_left_out(
    pipeline: Pipeline, field: str, sent: object
) -> None:
    assert field in {each.name for each in pipeline.contract.fields}
    assert field not in columns_of(pipeline, {field: sent})


def test_of_a_record_that_code_reads_only_the_id_is_taken() -> None:
    # Its columns of other names are not what the fields hold.
    assert columns_of(BUILT_IN["profiles"], profile()) == {"identifiant": UUID}
    assert columns_of(BUILT_IN["customers"], {"Customer_ID": "7", "EMAIL": "a@b"}) == {
        "customer_id": "7"
    }


@pytest.mark.parametrize(
    ("pipeline", "text", "value", "expected"),
    [
        ("tickets", "A1B2C3D4", json.dumps(french_ticket()), True),
        ("tickets", "A1B2C3D", json.dumps(french_ticket()), False),
        ("tickets", "CLIENT_42", json.dumps(ticket()), False),
        # Another field has the text, or it is written with an escape.
        ("tickets", "My", json.dumps(ticket(request="My")), False),
        ("tickets", "Ä1", json.dumps(ticket(ticket_id="Ä1")), True),
        ("tickets", "a/b", '{"ticket_id": "a\\/b"}', True),
        ("profiles", UUID, json.dumps(profile()), True),
        ("profiles", "no uuid", json.dumps(profile(login__uuid="no uuid")), True),
        ("profiles", "bluecat", json.dumps(profile()), False),
        ("customers", "7", '{"CUSTOMER_ID": " 7 "}', True),
        # Unreadable messages that mention a long enough id.
        ("tickets", "A1B2C3D4", "{'ticket_id': 'A1B2C3D4'}", True),
        ("tickets", "A1", "{'ticket_id': 'A1'}", False),
        ("tickets", "A1B2C3D4", "", False),
        # What is no Unicode text, as typed and as sent.
        ("tickets", "A\udcff", json.dumps(ticket(ticket_id="A\ud800")), False),
    ],
)
def test_message_has_an_id_only_in_the_field_of_the_id(
    pipeline: str, text: str, value: str, expected: bool
) -> None:
    wanted = wanted_id(BUILT_IN[pipeline], text)

    assert wanted is not None
    assert wanted.is_in(value.encode()) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [("1732270000000", True), ("1.73227e12", True), ("1732270000001", False), ('"soon"', False)],
)
def test_number_of_an_id_may_be_written_in_any_way(at: str, expected: bool) -> None:
    wanted = Wanted(SENSORS, "", {"sensor_id": "roof-1", "at": MOMENT})

    assert wanted.is_in(f'{{"sensor_id": "roof-1", "at": {at}}}'.encode()) is expected


def test_id_of_several_columns_is_not_looked_for_where_it_has_too_few_parts(
    tmp_path: Path,
) -> None:
    assert wanted_id(SENSORS, "roof-1") is None
    assert wanted_id(BUILT_IN["profiles"], "no uuid") == Wanted(
        BUILT_IN["profiles"], "no uuid", None
    )
