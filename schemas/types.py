r"""The types of a contract's fields, and what each becomes in every store and file format.

`TYPES` is the only table of types: Spark's schemas, the check of tables and the page
docs/your-own-pipeline.md follow it. Formats and number texts are regular expressions without
anchors, for a full match, valid in Python and Java.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final, Literal

Kind = Literal[
    "string", "integer", "number", "boolean", "decimal", "timestamp", "date", "uuid", "email"
]

LEAST_INTEGER: Final = -(2**63)
GREATEST_INTEGER: Final = 2**63 - 1
# Characters of a text that is an id: PostgreSQL's index takes some 2,700 bytes.
LONGEST_ID: Final = 255
# The most digits of Spark's decimals.
MOST_DIGITS: Final = 38
# The end of year 9999, exclusive, in seconds since 1970.
EPOCH_END: Final = 253_402_300_800
EPOCH_UNITS: Final = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}

_NOT_SPACE_NOR_AT = (
    r"[^@\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
)
_HEX = "[0-9A-Fa-f]"
_YEAR = "(?:19|[2-9][0-9])[0-9]{2}"
# What a text of each format must look like; a day or time that does not exist fails later.
FORMATS: Final = {
    "timestamp": (
        rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?"
        r"(?:[Zz]|[+-](?:(?:0[0-9]|1[0-7]):?[0-5][0-9]|18:?00))"
    ),
    "date": rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}",
    "uuid": rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    "email": f"{_NOT_SPACE_NOR_AT}@{_NOT_SPACE_NOR_AT}",
    "decimal": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
}
# A number in JSON, and a text that stands for one.
NUMBER: Final = FORMATS["decimal"]


@dataclass(frozen=True)
class StoredAs:
    """The types that one kind of field has in each store; `text` is its form in CSV and JSON."""

    spark: str
    cassandra: str
    postgresql: str
    mongodb: str
    parquet: str
    text: str

    def of_array(self) -> StoredAs:
        """Return the types of an array of such values."""
        return StoredAs(
            spark=f"array<{self.spark}>",
            cassandra=f"list<{self.cassandra}>",
            postgresql=f"{self.postgresql}[]",
            mongodb="array",
            parquet=f"list<{self.parquet}>",
            text="JSON array",
        )

    def with_digits(self, precision: int, scale: int) -> StoredAs:
        """Return the types with a decimal's precision and scale filled in."""
        digits = f"({precision},{scale})"
        return StoredAs(*(each.replace("(p,s)", digits) for each in astuple(self)))


_TEXT = StoredAs("string", "text", "text", "string", "string", "as sent")
TYPES: Final[dict[Kind, StoredAs]] = {
    "string": _TEXT,
    "integer": StoredAs("bigint", "bigint", "bigint", "long", "int64", "digits"),
    "number": StoredAs(
        "double", "double", "double precision", "double", "double", "digits of exactly this number"
    ),
    "boolean": StoredAs("boolean", "boolean", "boolean", "bool", "bool", "`true` or `false`"),
    "decimal": StoredAs(
        "decimal(p,s)",
        "decimal",
        "numeric(p,s)",
        "decimal",
        "decimal128(p,s)",
        "digits, `s` of them after the point; `1E-9` below 0.000001",
    ),
    "timestamp": StoredAs(
        "timestamp",
        "timestamp",
        "timestamptz",
        "date",
        "timestamp[us, tz=UTC]",
        "`2026-11-22T10:11:12.345Z`",
    ),
    "date": StoredAs("date", "date", "date", "string", "date32[day]", "`2026-11-22`"),
    "uuid": StoredAs("string", "uuid", "uuid", "string", "string", "lower case"),
    "email": _TEXT,
}
