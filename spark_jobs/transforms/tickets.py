"""Tickets: one message in, one classified row out.

Columns in:  `schemas.spark.MESSAGE_SCHEMA`
Columns out: `record_id`, `outcome` (`valid` or `rejected`), `reasons`, `key`, `value` (both only
             when rejected), the message's coordinates, `redrives`, then, null unless valid:
             `ticket_id`, `client_id`, `created_at` (UTC, cut to milliseconds), `request` (trimmed),
             `request_type`, `priority`, `assigned_team`, `created_hour` (start of the UTC hour)
Grain:       one row per message, nothing dropped, nothing added
"""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.contract import Contract, FieldContract, load_contract
from schemas.spark import record_schema
from spark_jobs.transforms import outcomes, timestamps
from spark_jobs.transforms.layers import Layer, built_once, select_layer, with_layers
from spark_jobs.transforms.parse import has_key, is_json_string, with_record
from spark_jobs.transforms.routing import assigned_team
from spark_jobs.transforms.validate import (
    all_reasons,
    reason,
    ruled_choice,
    ruled_text,
    text_to_rule,
)

# How far a producer's clock may be ahead of the broker's.
CREATED_AT_TOLERANCE: Final = "24 hours"


def classify_tickets(messages: DataFrame) -> DataFrame:
    """Classify messages as valid or rejected tickets; see the module's docstring."""
    contract = load_contract("ticket")
    return (
        with_record(messages, record_schema(contract))
        .transform(with_layers, _judging(contract))
        .transform(select_layer, _classified(contract))
    )


@built_once
def _judging(contract: Contract) -> list[Layer]:
    """Return the columns that lead to `outcome` and `reasons`; expects `record`."""
    fields = {field.name: field for field in contract.fields}
    texts = [f for f in contract.fields if not f.values and f.format != "timestamp"]
    at = timestamps.instant(F.col("sent_created_at"), fields["created_at"].pattern or "")
    reasons = [reason(f, F.col(f"sent_{name}"), F.col(name)) for name, f in fields.items()]
    values = [F.col(name) for name in fields]
    valid = F.size("reasons") == 0
    outcome = F.when(valid, F.lit(outcomes.VALID)).otherwise(F.lit(outcomes.REJECTED))
    return [
        {f"sent_{name}": _sent(field) for name, field in fields.items()},
        {
            "_at": at,
            **{f"_text_{f.name}": text_to_rule(f, F.col(f"sent_{f.name}")) for f in texts},
        },
        {name: _ruled(field) for name, field in fields.items()},
        {"reasons": all_reasons(F.col("record"), values, reasons)},
        {"outcome": outcome},
    ]


@built_once
def _classified(contract: Contract) -> dict[str, Column | None]:
    """Return the columns of a classified ticket."""
    columns = {
        **{field.name: F.col(field.name) for field in contract.fields},
        "created_at": timestamps.cut_to_milliseconds(F.col("created_at")),
        "assigned_team": assigned_team(F.col("request_type")),
        "created_hour": timestamps.utc_hour(F.col("created_at")),
    }
    return outcomes.valid_record_columns("ticket_id", columns)


def _sent(field: FieldContract) -> Column:
    """Return the text as sent under the field's own name, or else under another; else null.

    The own name counts even if its value is null, which only the list of keys shows.
    """
    own = F.col("record")[field.name]
    if not field.other_names:
        return own
    others = F.coalesce(*(F.col("record")[name] for name in field.other_names))
    # Nested, because both operands of `|` may be computed for every row, reading each text again.
    from_others = F.when(others.isNotNull(), F.when(~has_key(field.name), others))
    return F.coalesce(own, from_others)


def _ruled(field: FieldContract) -> Column:
    """Return the value to store, null if the field is absent or breaks its rule."""
    sent = F.col(f"sent_{field.name}")
    if field.values:
        # An enumeration has no spelling that is the text of a number, object, array or boolean.
        return ruled_choice(field, sent)
    if field.format == "timestamp":
        latest = F.col("kafka_timestamp") + F.expr(f"INTERVAL {CREATED_AT_TOLERANCE}")
        is_past = F.coalesce(F.col("_at") <= latest, F.lit(True))
        return F.when(timestamps.is_in_range(F.col("_at")) & is_past, F.col("_at"))
    return F.when(_was_string(field), ruled_text(field, F.col(f"_text_{field.name}")))


def _was_string(field: FieldContract) -> Column:
    own = F.col("record")[field.name]
    is_string = is_json_string((field.name,), own)
    for name in field.other_names:
        other = F.col("record")[name]
        is_string = F.when(own.isNull(), is_json_string((name,), other)).otherwise(is_string)
    return is_string
