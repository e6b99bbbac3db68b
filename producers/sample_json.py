"""Records in JSON: one on each line, in one array, or one after the other over many lines.

The text of each record is passed on exactly as it is in the file, as numbers lose digits when they
are read and written; whether it is a valid record is judged later.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from producers.sample_bytes import (
    BYTE_ORDER_MARK,
    LONGEST_RECORD_BYTES,
    PAGE_BYTES,
    SampleError,
)

WHITE: Final = b" \t\r\n"
IN_TEXT: Final = re.compile(rb'\\[\s\S]|"')
OUTSIDE: Final = re.compile(rb'["{}\[\],]')
OPENING, CLOSING = frozenset((b"{", b"[")), frozenset((b"}", b"]"))


def json_records(
    stream: io.BufferedReader, name: str, line: int = 1
) -> Iterator[tuple[str, bytes]]:
    """Yield each record's place (`line 7`, or `record 7` of an array) and its text.

    Only one record is in memory at a time. `line` is the number of the stream's first line.

    Raises:
        SampleError: An array is not closed, something follows it, or a record is too long.
    """
    lines = _lines(stream, name, line)
    first = next(lines, None)
    if first is None:
        return
    if first[1].startswith(b"["):
        yield from _values(chain([first[2]], _pages(stream)), name, base=1)
        return
    if _is_object(first[1]):
        # At once, as the next line may be long in coming.
        yield from ((f"line {number}", text) for number, text, _ in chain([first], lines))
        return
    second = next(lines, None)
    is_open = first[1].startswith(b"{") and second is not None and not second[1].startswith(b"{")
    if second is None or not is_open or _is_object(second[1]):
        known = [first, second] if second else [first]
        yield from ((f"line {number}", text) for number, text, _ in chain(known, lines))
        return
    # The first line begins a record and the second goes on: a record takes several lines.
    yield from _values(chain([first[2], second[2]], _pages(stream)), name, base=0)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _pages(stream: io.BufferedReader) -> Iterator[bytes]:
    # What is there at once, as the next record may be long in coming.
    while page := stream.read1(PAGE_BYTES):
        yield page


def _lines(stream: io.BufferedReader, name: str, first: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, text without white space around it, and raw text of each line not blank."""
    number, is_later = first - 1, False
    while line := stream.readline(LONGEST_RECORD_BYTES):
        number += 1
        raw = line.removeprefix(BYTE_ORDER_MARK) if number == first else line
        text = raw.strip(WHITE)
        is_cut = len(line) == LONGEST_RECORD_BYTES and not line.endswith(b"\n")
        # A whole array may be on one line.
        if is_cut and (is_later or not text.startswith(b"[")):
            raise _too_long(name, f"line {number}")
        if text:
            is_later = True
            yield number, text, raw


def _values(pages: Iterator[bytes], name: str, base: int) -> Iterator[tuple[str, bytes]]:
    """Yield the elements of one array (`base` 1), or the values on the top level (`base` 0)."""
    buffer, begin, scan, depth, number, in_text = b"", 0, 0, 0, 0, False
    for page in pages:
        buffer, scan, begin = buffer[begin:] + page, scan - begin, 0
        while found := (IN_TEXT if in_text else OUTSIDE).search(buffer, scan):
            mark, scan = found[0], found.end()
            if mark == b'"':
                in_text = not in_text
            elif mark in OPENING:
                depth += 1
                begin = scan if depth == base and not number else begin
            elif mark in CLOSING:
                depth -= 1
            if (mark in CLOSING and depth == 0) or (mark == b"," and depth == base == 1):
                text = buffer[begin : found.start() if base else scan].strip(WHITE)
                begin, number = scan, number + 1
                # An array may be empty, or end with a comma.
                if text or mark == b",":
                    yield f"record {number}", text
                if base and depth == 0:
                    _refuse_more(chain([buffer[scan:]], pages), name)
                    return
        if len(buffer) - begin > LONGEST_RECORD_BYTES:
            raise _too_long(name, f"record {number + 1}")
    if base or buffer[begin:].strip(WHITE):
        what = "the array is" if base else "an object is"
        raise SampleError(
            f"`{name}` ends inside record {number + 1}: {what} not closed. Get the whole file, or"
            " put one record on each line."
        )


def _refuse_more(pages: Iterator[bytes], name: str) -> None:
    if any(page.strip(WHITE) for page in pages):
        raise SampleError(
            f"`{name}` has more after its array. Remove what follows the closing `]`, or put one"
            " record on each line."
        )


def _too_long(name: str, place: str) -> SampleError:
    return SampleError(
        f"`{name}`, {place}: longer than {LONGEST_RECORD_BYTES // 1024**2} MiB. A record is one"
        " Kafka message: split it, or put one record on each line."
    )
