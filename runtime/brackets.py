"""Parts of a table's declaration, in CQL and in SQL."""

from __future__ import annotations

from collections.abc import Iterator


def parts_between_commas(text: str) -> Iterator[str]:
    """The parts of a text, separated by commas outside all brackets; ends at a closing one."""
    depth, start = 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "(<[") - (sign in ")>]")
        if depth < 0:
            text = text[:place]
            break
        if sign == "," and not depth:
            yield text[start:place].strip()
            start = place + 1
    if last := text[start:].strip():
        yield last


def inside_and_after(text: str) -> tuple[str, str] | None:
    """What stands before the bracket that closes, and after it; None if none closes."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return text[:place], text[place + 1 :]
    return None
