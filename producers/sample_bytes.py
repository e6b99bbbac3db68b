"""The bytes of a file of records: opens it, unpacks gzip, says what it is by its beginning."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

from errors import DeliveryError
from producers.csv_rows import DELIMITERS
from producers.csv_text import GZIP, KINDS, MARKS

STANDARD_INPUT: Final = "-"
PAGE_BYTES: Final = 1024 * 1024
HEAD_BYTES: Final = 64 * 1024
# A record is one Kafka message, so 1 MiB is already more than a broker takes by default.
LONGEST_RECORD_BYTES: Final = 16 * 1024 * 1024
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
JSON_BEGIN: Final = re.compile(rb"\s*(?:\{(?!\\)|\[\s*(?:[\[{\]\"]|-?[0-9]|\Z))")
JSON_ENDINGS: Final = frozenset((".json", ".jsonl", ".ndjson"))
# Kinds of `csv_text` that are read.
PARQUET: Final = "a Parquet file"
READ_HERE: Final = frozenset((PARQUET, "JSON"))


class SampleError(DeliveryError):
    """A file of records cannot be read, or is of a kind that is not understood."""


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn errors of reading into the platform's, with the file's name."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = "ends too early" if isinstance(error, EOFError) else "is damaged"
        raise SampleError(
            f"The gzip data of `{name}` {what}. Get the file again and check it with `gzip -t`."
        ) from error
    except OSError as error:
        raise SampleError(
            f"Cannot read `{name}`: {error.strerror or type(error).__name__}. Correct the path, or"
            " the file's access rights."
        ) from error


def path_of(place: Path | str) -> Path:
    """The path, `~` in it replaced where that is known."""
    return Path(os.path.expanduser(place))


def is_waited_for(place: Path | str) -> bool:
    """Whether records come when another program writes them: standard input, or a named pipe.

    Raises:
        SampleError: The file may not be looked at, or its name is too long.
    """
    with explained(name_of(place)):
        return str(place) == STANDARD_INPUT or path_of(place).is_fifo()


@contextmanager
def opened(
    place: Path | str, raw: io.RawIOBase | None = None
) -> Iterator[tuple[io.BufferedReader, bytes, int]]:
    """Open a file, or standard input for `-`, and skip white space before its content.

    Gives the unpacked bytes, a look at the first, and the number of the line that they begin.

    Args:
        place: The file.
        raw: Its bytes, if it is open already; it stays open.

    Raises:
        SampleError: It is absent, not a file, may not be read, or is damaged.
    """
    with explained(name_of(place)), ExitStack() as closing:
        if raw is None and str(place) == STANDARD_INPUT:
            # What is there at once, so that a pipe may go on for long.
            raw = cast("io.RawIOBase", getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
        elif raw is None:
            path = path_of(place)
            if not path.is_file() and not path.is_fifo():
                raise FileNotFoundError(2, "not a file, or it does not exist")
            raw = closing.enter_context(path.open("rb", buffering=0))
        stream: io.BufferedReader = io.BufferedReader(raw, HEAD_BYTES)
        # Standard input stays open when its reader goes.
        closing.callback(stream.detach)
        if stream.peek(HEAD_BYTES).startswith(GZIP):
            unpacked = closing.enter_context(gzip.GzipFile(fileobj=stream))
            stream = closing.enter_context(
                io.BufferedReader(cast("io.RawIOBase", unpacked), HEAD_BYTES)
            )
        line = 1
        while _is_white(head := stream.peek(HEAD_BYTES)):
            line += stream.read(len(head)).count(b"\n")
        yield stream, head, line


def _is_white(head: bytes) -> bool:
    """Whether it is white space, of which the end of a file has none."""
    return bool(head) and not head.removeprefix(BYTE_ORDER_MARK).strip()


def name_of(place: Path | str) -> str:
    """How messages name the file."""
    return "standard input" if str(place) == STANDARD_INPUT else str(place)


def kind_of(name: str, head: bytes) -> str:
    """Return `parquet`, `json`, `csv` or `empty`, by the content and, if that is unclear, the name.

    Args:
        name: The file's name, as in messages.
        head: Its first bytes, with some that are not white space unless it is empty.

    Raises:
        SampleError: The file is of another kind, or its encoding is not UTF-8.
    """
    kind = next((each for begin, each in KINDS if begin.match(head)), None)
    if kind == PARQUET:
        return "parquet"
    if encoding := next((each for mark, each in MARKS if head.startswith(mark)), None):
        raise not_utf8(name, f"begins with the mark of {encoding.upper()}", encoding.upper())
    text = head.removeprefix(BYTE_ORDER_MARK)
    if not text:
        return "empty"
    if JSON_BEGIN.match(text):
        return "json"
    if kind and kind not in READ_HERE:
        raise SampleError(
            f"`{name}` is {kind}. Expected JSON Lines, a JSON array, CSV or Parquet: convert it,"
            " and give that file."
        )
    ending = Path(name.lower().removesuffix(".gz")).suffix
    # Lines of one column through a pipe are broken JSON rather than a CSV.
    first = text.strip().partition(b"\n")[0]
    is_piped = name == name_of(STANDARD_INPUT) and not any(d.encode() in first for d in DELIMITERS)
    return "json" if is_piped or ending in JSON_ENDINGS else "csv"


def not_utf8(name: str, why: str, encoding: str = "WINDOWS-1252") -> SampleError:
    """The error for a text in another encoding; `why` says where it shows."""
    return SampleError(
        f"`{name}` {why}, but the text must be UTF-8. Convert it, for example with `iconv -f"
        f" {encoding} -t UTF-8`, and give that file."
    )
