"""What the pipeline makes of orders: `.venv/bin/python -m pytest examples/orders`."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

Judge = Callable[..., list[dict[str, Any]]]
ORDER = {
    "order_id": "O-1",
    "created_at": "2026-11-22T23:59:59Z",
    "status": "paid",
    "amount": "19.90",
    "currency": "EUR",
    "items": ["tea"],
    "customer": {"id": "C1", "email": "Ada@Example.org"},
}


def test_amounts_are_exact_whether_sent_as_text_or_as_number(judge: Judge) -> None:
    text, number = judge([ORDER, ORDER | {"order_id": "O-2", "amount": 19.9}])

    assert text["amount"] == number["amount"] == Decimal("19.90")
    assert text["created_day"] == date(2026, 11, 22)


def test_customer_is_known_by_a_digest_alone(judge: Judge) -> None:
    first, second = judge(
        [ORDER, ORDER | {"order_id": "O-2", "customer": {"id": "C1", "email": " ada@example.org"}}]
    )

    assert first["customer_email"] == second["customer_email"]
    assert len(first["customer_email"]) == 64


def test_outcomes_of_orders(judge: Judge) -> None:
    rows = judge(
        [
            ORDER,
            ORDER,
            ORDER | {"order_id": "O-2", "amount": "10000.00"},
            ORDER | {"order_id": "O-3", "status": "test"},
            ORDER | {"order_id": "O-4", "amount": "19.999"},
            "{broken",
        ]
    )

    assert [row["outcome"] for row in rows] == [
        "valid",
        "duplicate",
        "alert",
        "filtered",
        "rejected",
        "rejected",
    ]
    assert [row["reasons"] for row in rows[4:]] == [["invalid_amount"], ["unparseable"]]
