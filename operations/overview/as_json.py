"""What was seen as JSON's types, for scripts and the web."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from operations.overview.model import BatchView, PartitionView, PipelineView

# What readers would otherwise have to compute.
COMPUTED = {
    PartitionView: ("lag",),
    PipelineView: ("lag",),
    BatchView: ("rows_per_second",),
}


def as_json(value: Any) -> Any:
    """A value and all that it holds; times in ISO 8601, in UTC, anything unknown as its text."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)] + [*COMPUTED.get(type(value), ())]
        unknown = value.unknown if isinstance(value, PipelineView) else ()
        return {n: None if n in unknown else as_json(getattr(value, n)) for n in names}
    if isinstance(value, Mapping):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
