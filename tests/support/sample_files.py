"""Samples of different shape for `millrace new`, made the same each time.

Every e-mail address, name, number and IBAN in them is from a range reserved for examples.
"""

from __future__ import annotations

import csv
import json
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)


def orders(folder: Path) -> Path:
    """JSON Lines with a nested customer, an array of objects, money, names that no contract has."""
    chance = random.Random(1)
    records = []
    for number in range(40):
        customer: dict[str, Any] = {
            "id": 100 + number % 7,
            "name": "Ada Example",
            "email": f"ada{number % 7}@example.com",
        }
        if number % 3:
            customer["address"] = {"street": "1 Example Street", "zip": "01234", "city": "Paris"}
        records.append(
            {
                "order_id": f"A-{1000 + number}",
                "created_at": (BEGIN + timedelta(hours=number)).isoformat(),
                "status": chance.choice(["open", "paid", "sent"]),
                "amount": chance.choice([12.5, 100, 7.99]),
                "currency": chance.choice(["EUR", "USD"]),
                "customer": customer,
                "items": [{"sku": "x", "quantity": 1}],
                "tags": ["new"] * (number % 2),
                "ship to": "Paris" if number % 2 else None,
                "gift-wrap": bool(number % 2),
                "voucher": None,
            }
        )
    # A message that arrived twice.
    return _lines(folder / "orders.jsonl", [*records, records[3]])


def readings(folder: Path) -> Path:
    """Sensor readings: no field alone is an id, the time is in milliseconds since 1970."""
    chance = random.Random(2)
    begin = int(BEGIN.timestamp() * 1000)
    return _lines(
        folder / "readings.ndjson",
        [
            {
                "sensor_id": f"s-{sensor}",
                "ts": begin + 60_000 * minute,
                "temperature": round(chance.uniform(-5, 30), 3),
                "humidity": chance.randrange(100),
                "ok": chance.random() > 0.1,
                "position": {"lat": 48.85, "lon": 2.35},
            }
            for minute in range(20)
            for sensor in range(4)
        ],
    )


def transfers(folder: Path) -> Path:
    """A CSV of a German bank: blanks and accents in names, decimal commas, days with points."""
    path = folder / "umsaetze.csv"
    header = [
        *("Buchungs-ID", "Buchungstag", "Auftraggeber/Empfänger", "IBAN", "Verwendungszweck"),
        *("Betrag", "Währung", "Art der Buchung", "Gebühr", "Storniert"),
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(header)
        for number in range(30):
            writer.writerow(
                [
                    *(f"B{number:05}", f"{number % 28 + 1:02}.03.2026", "Max Mustermann"),
                    *("DE89370400440532013000", "Miete; März" if number % 2 else ""),
                    *(f"1.{number:03},50", "EUR", ["Überweisung", "Lastschrift"][number % 2]),
                    *(f"{number}.50", "true" if number % 5 else "FALSE"),
                ]
            )
    return path


def requests(folder: Path) -> Path:
    """Web logs as one JSON array: addresses of machines, codes of answers, keywords as names."""
    chance = random.Random(4)
    path = folder / "requests.json"
    records = [
        {
            "request_id": f"{number:08x}",
            "timestamp": (BEGIN + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "client_ip": f"192.0.2.{number % 9}",
            "method": chance.choice(["GET", "POST"]),
            "path": f"/page/{number}",
            "status": chance.choice([200, 404]),
            "bytes": chance.randrange(10_000),
            "order": number,
            "user": {"agent": "curl/8", "email": None},
            "duration": chance.random(),
        }
        for number in range(60)
    ]
    path.write_text(json.dumps(records, indent=2))
    return path


def rides(folder: Path) -> Path:
    """Taxi rides in Parquet: doubles for money, NaN for absent, instants without zone."""
    chance = random.Random(5)
    count = 50
    at = [(BEGIN + timedelta(minutes=n)).replace(tzinfo=None) for n in range(count)]
    table = pa.table(
        {
            "ride_id": [f"r{n:04}" for n in range(count)],
            "VendorID": pa.array([n % 2 + 1 for n in range(count)], pa.int32()),
            "tpep_pickup_datetime": pa.array(at, pa.timestamp("ns")),
            "tpep_dropoff_datetime": pa.array([t + timedelta(minutes=9) for t in at]),
            "passenger_count": [float("nan") if n % 9 == 0 else float(n % 4) for n in range(count)],
            "trip_distance": [chance.uniform(0, 20) for _ in range(count)],
            "payment_type": pa.array([["card", "cash"][n % 2] for n in range(count)]),
            "fare_amount": [0.1 + 0.2 + n for n in range(count)],
            "toll": pa.array([Decimal("6.55")] * count),
            "store_and_fwd_flag": pa.array([None] * count, pa.string()),
        }
    )
    pq.write_table(table, path := folder / "rides.parquet")
    return path


def events(folder: Path) -> Path:
    """Events with UUIDs, arrays, mixed types, camelCase, and a time that is not always there."""
    chance = random.Random(6)
    records = []
    for number in range(36):
        record: dict[str, Any] = {
            "eventId": str(uuid.UUID(int=chance.getrandbits(128), version=4)).upper(),
            "eventType": chance.choice(["click", "view", "buy"]),
            "sessionId": str(uuid.UUID(int=number % 5)),
            "scores": [chance.randrange(9) for _ in range(number % 4)],
            "labels": ["a", "b"],
            "value": number if number % 2 else f"v{number}",
            "user": {"phoneNumber": "+1 202 555 0100", "birthDate": "1990-01-31"},
            "ID": number,
            "id ": "x",
        }
        if number % 4:
            record["occurredAt"] = (BEGIN + timedelta(seconds=number)).isoformat()
        records.append(record)
    return _lines(folder / "events.jsonl", records)


SAMPLES: dict[str, Callable[[Path], Path]] = {
    each.__name__: each for each in (orders, readings, transfers, requests, rides, events)
}


def _lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def made(folder: Path) -> Iterator[tuple[str, Path]]:
    """The name of a pipeline, and the path of its sample."""
    for name, make in SAMPLES.items():
        yield name, make(folder)
