"""Tells which messages of a topic have an id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from operations.trace.ids import record_of, sent_value, value_of
from schemas.fields import FieldContract
from spark_jobs.pipeline import Pipeline

# A shorter id would be found in the bytes of many unreadable messages.
SHORTEST_MENTION: Final = 6


@dataclass(frozen=True)
class Wanted:
    """An id: as it was typed, and the columns of records that have it; None if none can."""

    pipeline: Pipeline
    text: str
    columns: Mapping[str, Any] | None

    def is_in(self, value: bytes | None) -> bool:
        """Whether a message has the id; of one that cannot be read, whether it has the text."""
        # Parsing takes far longer than this; an escape may hide the text.
        if not value or (b"\\" not in value and self._needle not in value.lower()):
            return False
        record = record_of(value)
        if record is None:
            return len(self.text) >= SHORTEST_MENTION and self._bytes in value
        sent = [(field, sent_value(record, field)) for field in self._fields]
        if self.columns is None:
            return any(str(each) == self.text for _, each in sent)
        return bool(sent) and all(
            value_of(field, each) == self.columns[str(field.column)] for field, each in sent
        )

    @cached_property
    def _fields(self) -> list[FieldContract]:
        names = self.pipeline.id_columns
        return [field for field in self.pipeline.contract.fields if field.column in names]

    @cached_property
    def _bytes(self) -> bytes:
        # A terminal may pass what is no Unicode text.
        return self.text.encode(errors="surrogateescape")

    @cached_property
    def _needle(self) -> bytes:
        """Bytes that every message with the id has, in lower case; empty if there are none."""
        if self.columns is None:
            return self._bytes.lower()
        # Numbers, times and enumerations may be written in several ways.
        free = (f for f in self._fields if f.kind in {"string", "uuid", "email"} and not f.values)
        texts = [str(self.columns[str(field.column)]) for field in free]
        return max(texts, key=len, default="").encode().lower()
