"""An overview as JSON, for scripts and the web."""

from __future__ import annotations

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
    """A view and all that it holds as objects, lists, numbers, text; times in ISO 8601, UTC."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)] + [*COMPUTED.get(type(value), ())]
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value if isinstance(value, str | int | float | None) else str(value)
