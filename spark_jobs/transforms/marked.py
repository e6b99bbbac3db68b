r"""JSON whose values keep their type and every digit, when read as text.

`from_json` reads any value as text if the schema says text, but turns `1.50` into `1.5`, rounds a
number to a double, and hides whether a text was a string. So the message's text is marked first:
each string becomes `"s…"`, names included, and each number the string `"n…"`. Then the first
character of what is read is the value's type, and the rest is as sent:

    s text   n number   t, f boolean   [ array   { object   null: null or absent
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_jobs.transforms.layers import Layer, once

JSON_OPTIONS: Final = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": "_corrupt",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
}
# Possessive, so that Java neither goes back nor deeper with the length of a text.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
STRINGS: Final = r'(?s)"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
# Whatever holds no number, strings as a whole; then one number.
NUMBERS: Final = rf'(?s)\G([^"0-9-]*+(?:{_STRING}[^"0-9-]*+)*+)(-?[0-9][0-9.eE+-]*+)'
TEXT: Final = "_marked"
# More characters than a text can have.
LONGEST: Final = 2**31 - 1
# Of more digits than this, a number keeps its exponent.
MOST_PLACES: Final = 1_000
NUMBER_PARTS: Final = r"\An(-?)([0-9]++)[.]?([0-9]*+)[eE]?(.*)\z"


def marked_text() -> Column:
    """Return the marked text, to be `_marked`; null without a `record`."""
    return F.when(F.col("record").isNotNull(), marks())


def marks() -> Column:
    """Return the marked text of `text`, which must be one JSON object."""
    strings = F.regexp_replace("text", STRINGS, '"s$1"')
    return F.regexp_replace(strings, NUMBERS, '$1"n$2"')


def body(sent: Column) -> Column:
    """Return a marked value without its mark."""
    return sent.substr(2, LONGEST)


def marked_at(path: Sequence[str]) -> Column:
    """Return the marked value at that path of a message's objects; null if it is null or absent."""
    value = marks()
    for name in path:
        key = f"s{name}"
        value = F.from_json(value, T.StructType().add(key, "string"), JSON_OPTIONS)[key]
    return value


def plain_number(sent: Column) -> Column:
    """Return a marked number's text, written out if it has an exponent of up to `MOST_PLACES`."""
    parts = F.array(*(F.regexp_extract(sent, NUMBER_PARTS, n) for n in range(1, 5)))
    return F.coalesce(once(parts, _written_out), body(sent))


def _written_out(parts: Column) -> Column:
    """Return sign, digits before and after the point, and exponent as one text.

    Null without an exponent, or with too great a one.
    """
    power = parts[3].cast("int")
    exponent = F.when(power.between(-MOST_PLACES, MOST_PLACES), power)
    whole, fraction = parts[1], parts[2]

    def shifted(point: Column) -> Column:
        # Zeros on both sides, so that the point lies within the digits or at their end.
        before = F.call_function("repeat", F.lit("0"), 1 - point)
        behind = F.call_function("repeat", F.lit("0"), point - F.length(F.concat(whole, fraction)))
        digits = F.concat(before, whole, fraction, behind)
        pointed = F.overlay(digits, F.lit("."), F.greatest(point, F.lit(1)) + 1, F.lit(0))
        # Neither zeros in front nor a point at the end.
        return F.concat(parts[0], F.regexp_replace(pointed, r"\A0+(?=[0-9])|[.]\z", ""))

    return once(F.length(whole) + exponent, shifted)


def elements(sent: Column) -> Column:
    """Return the marked elements of an array; null for anything else."""
    return F.from_json(
        F.when(sent.startswith("["), sent), T.ArrayType(T.StringType()), JSON_OPTIONS
    )


def marked(value: Any) -> str:
    """Return a value of Python as a message's marked text would have it."""
    if isinstance(value, list):
        return json.dumps([marked(each) for each in value])
    if isinstance(value, bool):
        return str(value).lower()
    return f"n{value}" if isinstance(value, int | float | Decimal) else f"s{value}"


class Members:
    """The members of a message's objects that a contract knows, each read once.

    Names may differ only in case, so members are found by their place and not by their name.
    """

    def __init__(self, paths: Iterable[Sequence[str]]) -> None:
        self._keys: dict[tuple[str, ...], list[str]] = {}
        for path in paths:
            for depth, key in enumerate(path):
                keys = self._keys.setdefault(tuple(path[:depth]), [])
                if key not in keys:
                    keys.append(key)
        self._columns = {parent: f"_members{n}" for n, parent in enumerate(self._keys)}

    def layers(self) -> list[Layer]:
        """Return a struct of marked texts for each object; expects `_marked`."""
        by_depth = groupby(sorted(self._keys, key=len), key=len)
        return [{self._columns[p]: self._read(p) for p in parents} for _, parents in by_depth]

    def sent(self, path: Sequence[str]) -> Column:
        """Return the marked value at that path; null if it is null or absent."""
        *parents, key = path
        keys = self._keys[tuple(parents)]
        return F.col(self._columns[tuple(parents)])[f"f{keys.index(key)}"]

    def has_key(self, path: Sequence[str]) -> Column:
        """Return whether the object around that path has the key, even with a null value."""
        *parents, key = path
        keys = F.json_object_keys(self._text(parents))
        return F.coalesce(F.array_contains(keys, f"s{key}"), F.lit(False))

    def _text(self, parents: Sequence[str]) -> Column:
        text = self.sent(parents) if parents else F.col(TEXT)
        return F.when(text.startswith("{"), text)

    def _read(self, parents: tuple[str, ...]) -> Column:
        keys = self._keys[parents]
        names = T.StructType([T.StructField(f"s{key}", T.StringType()) for key in keys])
        places = T.StructType([T.StructField(f"f{n}", T.StringType()) for n in range(len(keys))])
        # A root with blanks around it is not seen as an object by its first character.
        text = self._text(parents) if parents else F.col(TEXT)
        return F.from_json(text, names, JSON_OPTIONS).cast(places)
