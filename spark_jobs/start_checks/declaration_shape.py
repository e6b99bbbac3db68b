"""The shape of a declaration: what of it matters to records that are stored already.

Each job that starts keeps it with its checkpoint, as a JSON document; declaration_change.py
compares two of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from schemas.fields import FieldContract
from spark_jobs.aggregates import Aggregate, Measure
from spark_jobs.pipeline import Pipeline
from spark_jobs.state.checkpoint import Checkpoint
from spark_jobs.targets import FileSet, SqlTable, Topic

Shape = Mapping[str, Any]

FILE_NAME: Final = "millrace-declaration.json"
VERSION: Final = 1


def shape_of(pipeline: Pipeline) -> Shape:
    """What of a loaded pipeline matters to stored records, as a JSON document.

    Shards that settings give are left out: the table notes them, and its sink compares.
    """
    pipeline = pipeline.undivided or pipeline
    derived = {} if callable(pipeline.derived) else pipeline.derived
    return {
        "version": VERSION,
        "id": [each.name for each in pipeline.contract.id_fields],
        "fields": {each.name: _field(each) for each in pipeline.contract.fields},
        "derived": {column: _sql(text) for column, text in derived.items()},
        "keep": _sql(pipeline.keep),
        "alert": _sql(pipeline.alert),
        "tables": {
            table.place: {
                "columns": dict(table.declared.columns),
                "key": table.declared.key_text,
                "stand_ins": dict(table.stand_ins),
            }
            for table in pipeline.tables
        },
        "sql_tables": {
            table.name: {
                "columns": dict(table.declared.columns),
                "key": f"({', '.join(table.declared.key)})",
                **_takes(table),
            }
            for table in pipeline.sql_tables
        },
        "file_sets": {
            each.name: {
                "columns": {field.name: field.dataType.simpleString() for field in each.schema},
                "day": each.day,
                **_takes(each),
            }
            for each in pipeline.file_sets
        },
        "topics": {
            each.name: {"columns": dict.fromkeys(each.columns, ""), **_takes(each)}
            for each in pipeline.topics
        },
        "aggregates": {each.name: _aggregate(each) for each in pipeline.aggregates},
    }


def _sql(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())


def _takes(target: SqlTable | FileSet | Topic) -> dict[str, Any]:
    return {"outcome": target.outcome, "where": _sql(target.where)}


def _field(field: FieldContract) -> dict[str, Any]:
    # An array's own limits are those of its elements.
    value = field.items or field
    return {
        "kind": value.kind,
        "array": field.items is not None,
        "epoch": value.epoch,
        "precision": value.precision,
        "scale": value.scale,
        "types": sorted({*value.types} - {"null"}),
        "column": field.column,
        "hashed": field.sensitivity == "hashed",
        "normalise": field.normalise,
        "required": field.required,
        "within": field.required_within,
        "event_time": field.is_event_time,
        "default": _plain(field.default),
        "trim": value.trim,
        "coerce": value.coerce,
        "enum": list(value.values),
        "synonyms": dict(value.synonyms),
        "other_names": list(field.other_names),
        "pattern": value.pattern,
        "minimum": _plain(value.minimum),
        "maximum": _plain(value.maximum),
        "minLength": value.min_length,
        "maxLength": value.max_length,
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _aggregate(aggregate: Aggregate) -> dict[str, Any]:
    return {
        "by": [f"{d.unit} {d.column} as {d.field}" for d in aggregate.dimensions],
        "measures": {name: _measure(each) for name, each in aggregate.measures.items()},
        "where": _sql(aggregate.where),
    }


def _measure(measure: Measure) -> str:
    where = f" where {_sql(measure.where)}" if measure.where else ""
    return f"{measure.kind}({measure.column or ''}){where}"


def new_topics(before: Shape, after: Shape) -> list[str]:
    """The topics that only the later shape has."""
    return sorted(after["topics"].keys() - before["topics"].keys())


def recorded_shape(checkpoint: Checkpoint) -> Shape | None:
    """The shape that the last job stored with its checkpoint; None if none can be read.

    None also where another version of the platform stored it, or nothing was processed yet: then
    there are no records that a change could concern.
    """
    if checkpoint.last_planned() is None:
        return None
    try:
        shape = json.loads(checkpoint.read(FILE_NAME) or "null")
    except ValueError:
        return None
    is_known = isinstance(shape, dict) and shape.get("version") == VERSION
    return shape if is_known else None


def record_shape(checkpoint: Checkpoint, shape: Shape) -> None:
    """Store with a checkpoint the shape of the declaration that is about to use it."""
    checkpoint.write(FILE_NAME, json.dumps(shape))
