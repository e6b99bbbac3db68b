r"""Standard output and errors that show control characters as escapes, such as `\x1b`.

Names, keys and values from stores and messages may hold sequences that a terminal obeys, and marks
that reverse the order of what it shows. Escaped where text leaves the program, they can do nothing,
whoever quotes them. Those above `\x1f` are escaped as in JSON, so that a document keeps its values.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO, cast

# C0 without tab and line feed, DEL, C1, and what breaks lines or turns the direction of text. A
# carriage return is harmless at the end of a line.
CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)"
)
IN_LINES: Final = re.compile(f"{CONTROLS.pattern}|[\t\n\r]")
NAMED: Final = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def escaped(text: str) -> str:
    """The text with control characters, except tabs and line ends, as escapes."""
    return CONTROLS.sub(_escape, text)


def in_one_line(text: str) -> str:
    """The same for a value inside a line, where tabs and line ends become escapes too."""
    return IN_LINES.sub(lambda found: NAMED.get(found[0]) or _escape(found), text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < ord(" ") else f"\\u{code:04x}"


class EscapedOutput:
    """A stream for text that shows control characters as escapes.

    Attributes:
        plain: The stream below it.
    """

    def __init__(self, plain: TextIO) -> None:
        self.plain = plain

    def write(self, text: str) -> int:
        """Write a text; returns how many characters it became."""
        return self.plain.write(escaped(text))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


def escape_output() -> None:
    """Let this process's output and errors escape controls, and what they cannot encode."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            # Such as lone surrogates in a message.
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, EscapedOutput(stream))


def plain(stream: TextIO) -> TextIO:
    """The stream without escapes: for a library that controls the terminal, or for whole values."""
    return cast(TextIO, getattr(stream, "plain", stream))
