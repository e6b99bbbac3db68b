"""The type of a field, from its values: the keywords of a contract, and why.

A type is never narrower than the sample: every value in it is valid for what is returned here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from operations.new.guess import Guess, room, share_of, text_or_number
from operations.new.numbers import money, of_numbers
from operations.new.observed import Observed
from operations.new.texts import of_texts
from operations.new.words import words_of
from schemas.contract import WHITE_SPACE
from schemas.types import NUMBER, Kind

# Elements of other kinds are texts: a tag that the sample lacks is no fault.
ELEMENT_KINDS: Final[frozenset[Kind]] = frozenset(
    ("number", "integer", "boolean", "timestamp", "date", "uuid")
)


def infer(observed: Observed, *, from_text: bool = False, exact: bool = True) -> Guess | str:
    """Return what a field is taken for, or why it cannot be a field of a contract.

    Args:
        observed: The field with its values, none of which is an object.
        from_text: Whether all values are texts that may stand for numbers, as in a CSV.
        exact: Whether digits after a point were meant; not those of a double.
    """
    values, words, where = observed.filled, words_of(observed.path[-1]), share_of(observed)
    types = {_type(value) for value in values}
    if types == {"array"}:
        return _of_arrays(values, observed, where)
    if types == {"boolean"}:
        return Guess("boolean", {"type": "boolean"}, f"boolean {where}")
    if types == {"string"}:
        return of_texts(values, words, where, from_text=from_text)
    if types == {"number"}:
        return of_numbers(values, words, where, exact=exact)
    if types == {"string", "number"}:
        mixed = f"texts and numbers {where}"
        are_numbers = all(re.fullmatch(NUMBER, str(value)) for value in values)
        amounts = money(values, words, ["string", "number"], mixed) if are_numbers else None
        return amounts or text_or_number(values, mixed)
    return f"a mixture of {' and '.join(sorted(types))}, for which a contract has no type"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _of_arrays(values: Sequence[list[Any]], observed: Observed, where: str) -> Guess | str:
    elements = [element for value in values for element in value]
    if not elements:
        return "an empty array in every record, so the type of its elements is unknown"
    if any(isinstance(element, dict | list) for element in elements):
        return "an array of objects or arrays; a contract has only arrays of scalars"
    if any(e is None or (isinstance(e, str) and not e.strip(WHITE_SPACE)) for e in elements):
        return "an array with null or blank elements, which a contract refuses"
    inner = infer(Observed(observed.path, elements, (len(elements),)))
    if isinstance(inner, str):
        return f"an array with {inner}"
    if inner.kind in ELEMENT_KINDS:
        keywords = {"type": "array", "items": dict(inner.keywords)}
        return Guess(inner.kind, keywords, f"array, each element a {inner.kind}, {where}", True)
    texts = [str(element) for element in elements]
    keywords = {
        "type": "array",
        "items": {"type": inner.keywords["type"], "maxLength": room(texts)},
    }
    return Guess("string", keywords, f"array of texts {where}", is_array=True)
