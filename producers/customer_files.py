"""Generates customer files as shops send them: mostly correct, with every kind of fault.

The same seed, count and share give the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from runtime.files import whole

Fields = dict[str, str]
Change = Callable[[Fields, Random], None]
COLUMNS: Final = (
    "Customer_ID", "First_Name", "Last_Name", "Email", "Phone", "Address", "City", "State",
    "Country", "Postal_Code", "Created_At",
)  # fmt: skip
USA: Final = ("USA", "US", "U.S.", "U.S.A.", "United States", "United States of America", "usa")
ELSEWHERE: Final = ("Canada", "France", "Deutschland", "Mexico", "United Kingdom", "España")
FIRST: Final = ("Emma", "Liam", "Olivia", "Noah", "Zoë", "José", "Mia", "Renée", "Jürgen", "Ada")
LAST: Final = ("Smith", "O'Connor", "Núñez", "Johnson", "Müller", "Van Dyke", "Garcia", "Lefèvre")
STREETS: Final = ("Main St", "Oak Ave", 'Cedar "Old" Ln', "Sunset Blvd, North", "Lakeview Dr")
CITIES: Final = (
    ("Portland", "OR"), ("Austin", "TX"), ("Columbus", "OH"), ("Albany", "NY"), ("Boise", "ID"),
)  # fmt: skip
# Share of complete rows from other countries, and of addresses with a line break.
ELSEWHERE_SHARE: Final = 0.3
BREAK_SHARE: Final = 0.1
MEMORY: Final = 1000


def _set(name: str, *values: str) -> Change:
    return lambda fields, rng: fields.update({name: rng.choice(values)})


INCOMPLETE: Final[dict[str, Change]] = {
    **{f"no {name}": _set(name, "", " ") for name in (*COLUMNS[:4], "Country")},
    "e-mail": _set("Email", "not-an-email", "a@b@example.com", "a b@example.com"),
    "created": _set("Created_At", "31/12/2024", "yesterday", "2024-02-30"),
}


def write_customers(path: Path, count: int, seed: int, fault_share: float) -> None:
    """Write a file of `count` rows, a BOM and a header before them."""
    with whole(path) as file:
        file.write(b"\xef\xbb\xbf" + _encoded(list(COLUMNS)))
        for row in customer_rows(count, seed, fault_share):
            file.write(row)


def customer_rows(count: int, seed: int, fault_share: float) -> Iterator[bytes]:
    """Rows as bytes of the file, with their line ends."""
    rng = Random(seed)  # noqa: S311 - test data, not secrets
    earlier = deque[bytes](maxlen=MEMORY)
    for number in range(count):
        fields = _customer(rng, f"CUST-{seed % 2**32:08x}-{number:06d}")
        if rng.random() < fault_share:
            yield _faulty(rng, fields, earlier)
            continue
        row = _encoded([*fields.values()])
        earlier.append(row)
        yield row


def _customer(rng: Random, customer_id: str) -> Fields:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    city, state = rng.choice(CITIES)
    is_elsewhere = rng.random() < ELSEWHERE_SHARE
    line_break = "\n" if rng.random() < BREAK_SHARE else ", "
    day = f"20{rng.randrange(15, 26)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    created = rng.choice((day, f"{day}T{rng.randrange(24):02}:15:30Z", f"{day} 08:00:00", ""))
    return {
        "Customer_ID": customer_id,
        "First_Name": first,
        "Last_Name": last,
        "Email": f"{customer_id.lower()}@example.com",
        "Phone": f"+1 555 {rng.randrange(10_000):04}",
        "Address": f"{rng.randrange(1, 9999)} {rng.choice(STREETS)}{line_break}Unit 2",
        "City": city,
        "State": state,
        "Country": rng.choice(ELSEWHERE if is_elsewhere else USA),
        "Postal_Code": f"{rng.randrange(100_000):05}",
        "Created_At": created,
    }


def _faulty(rng: Random, fields: Fields, earlier: deque[bytes]) -> bytes:
    kind = rng.choice(("incomplete", "incomplete", "incomplete", "again", "short", "long", "latin"))
    if kind == "again" and earlier:
        return rng.choice(earlier)
    if kind == "short":
        return _encoded([*fields.values()][: rng.randrange(2, 9)])
    if kind == "long":
        return _encoded([*fields.values(), "left over"])
    if kind == "latin":
        fields["First_Name"] = "Renée"
        return _encoded([*fields.values()], "cp1252")
    for change in rng.sample([*INCOMPLETE.values()], rng.choice((1, 1, 2))):
        change(fields, rng)
    return _encoded([*fields.values()])


def _encoded(values: list[str], encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode(encoding)
