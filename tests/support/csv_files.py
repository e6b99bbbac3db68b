"""A customer file with two customers, and what the producer makes of any content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from producers.csv_source import SourceError
from producers.csv_text import open_text
from producers.customer_progress import ProgressFile
from producers.customer_rows import CustomerFile
from settings import Settings

COLUMNS = (
    "customer_id", "first_name", "last_name", "email", "phone", "address", "city", "state",
    "country", "postal_code", "created_at",
)  # fmt: skip
ANN = ("1", "Ann", "Lee", "ann@example.com", "", "5 Oak Rd", "Austin", "TX", "USA", "73301", "")
ZOE = ("2", "Zoë", "Müller", "zoe@example.com", "", "6 Oak Rd", "Austin", "TX", "USA", "73301", "")
HEADER, A, Z = (",".join(fields) for fields in (COLUMNS, ANN, ZOE))
PLAIN = f"{HEADER}\n{A}\n{Z}\n"


class Sent:
    """What a file gives: rows in the order of the columns, lines of the report, the account."""

    def __init__(self, path: Path, home: Path, stop_after: int = 0) -> None:
        source = open_text(Settings(), str(path))
        progress = ProgressFile(home, source, "customers-raw", "id-1")
        file = CustomerFile(source, progress, progress.read(from_start=False))
        try:
            messages = list(file.messages(stop_after))
        except SourceError:
            file.close()
            raise
        for number in range(1, len(messages) + 1):
            file.confirmed(number)
        self.account = file.close()[-1]
        self.records: list[dict[str, Any]] = [json.loads(message.value) for message in messages]
        self.rows = [tuple(record.get(name) for name in COLUMNS) for record in self.records]
        path = file.report.path
        self.report = path.read_text().splitlines() if file.report.kinds else []


@pytest.fixture
def send(tmp_path: Path) -> Callable[[bytes | str], Sent]:
    def send(content: bytes | str) -> Sent:
        path = tmp_path / "customers.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Sent(path, tmp_path)

    return send


Send = Callable[[bytes | str], Sent]
BOM = "\ufeff"


def row(address: str, ident: str = "1") -> str:
    """A row in which the address stands as it is written."""
    return f"{ident},Ann,Lee,ann@example.com,,{address},Austin,TX,USA,73301,"
