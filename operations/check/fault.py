"""One fault of a pipeline's folder, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.output import in_one_line

CONTRACT: Final = "contract.schema.json"
DECLARATION: Final = "pipeline.py"
CQL: Final = "tables.cql"
SQL: Final = "tables.sql"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and how it is corrected.

    Attributes:
        file: The file, or empty for the folder itself.
        where: The place in it: a field, a table, a part of the declaration; empty for all of it.
        text: What is wrong, why it matters, what to do.
        is_note: It may be intended, so it fails no check.
    """

    file: str
    where: str
    text: str
    is_note: bool = False

    def line(self, pipeline: str) -> str:
        """The fault as a line of output."""
        path = f"{pipeline}/{self.file}" if self.file else pipeline
        place = f"`{path}`, `{self.where}`" if self.where else f"`{path}`"
        text = self.text if self.text.endswith((".", "?")) else f"{self.text}."
        return in_one_line(f"{'note: ' if self.is_note else ''}{place}: {text}")


def note(file: str, where: str, text: str) -> Fault:
    """A fault that may be intended."""
    return Fault(file, where, text, is_note=True)
