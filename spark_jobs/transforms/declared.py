"""Records of a declared pipeline: judged by the contract, then derived columns, filter and alerts.

Columns in:  `schemas.spark.MESSAGE_SCHEMA`
Columns out: those of `transforms.records`, then the derived columns; `outcome` is `valid`, `alert`,
             `filtered` or `rejected`
Grain:       one row per message, nothing dropped, nothing added
Nulls:       derived columns unless the record is valid or an alert, and where their SQL gives null;
             `record_id` of a filtered record is its coordinates, as it is stored nowhere
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.fields import Contract
from spark_jobs.transforms import outcomes
from spark_jobs.transforms.pseudonymise import Digests
from spark_jobs.transforms.records import classify_records


@dataclass(frozen=True)
class Rules:
    """What a declaration adds to its contract.

    Attributes:
        contract: The fields.
        derived: Column -> Spark SQL, each may use those before it; or a function that adds columns.
        types: Column -> Spark type; derived columns without one are text.
        keep: Condition of records that are kept; a null counts as false.
        alert: Condition of kept records that are alerts; a null counts as false.
    """

    contract: Contract
    derived: Mapping[str, str] | Callable[[DataFrame], DataFrame] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    keep: str | None = None
    alert: str | None = None


def classify_declared(
    messages: DataFrame, rules: Rules, digests: Digests | None = None
) -> DataFrame:
    """Classify messages as valid, alert, filtered or rejected; see the module's docstring."""
    judged = classify_records(messages, rules.contract, digests)
    derived = judged.transform(with_derived, rules)
    outcome = F.col("outcome")
    if rules.alert:
        is_alert = (outcome == outcomes.VALID) & F.coalesce(F.expr(rules.alert), F.lit(False))
        outcome = F.when(is_alert, F.lit(outcomes.ALERT)).otherwise(outcome)
    if rules.keep:
        is_dropped = (F.col("outcome") == outcomes.VALID) & ~F.coalesce(
            F.expr(rules.keep), F.lit(False)
        )
        outcome = F.when(is_dropped, F.lit(outcomes.FILTERED)).otherwise(outcome)
    coordinates = F.concat_ws("/", "kafka_partition", "kafka_offset")
    record_id = F.when(F.col("_outcome") == outcomes.FILTERED, coordinates)
    return derived.withColumn("_outcome", outcome).select(
        F.coalesce(record_id, "record_id").alias("record_id"),
        F.col("_outcome").alias("outcome"),
        *(name for name in derived.columns if name not in {"record_id", "outcome"}),
    )


def with_derived(records: DataFrame, rules: Rules) -> DataFrame:
    """Add derived columns to classified messages, null where the outcome is not `valid`."""
    if callable(rules.derived):
        given = records.columns
        added = rules.derived(records)
        names = [name for name in added.columns if name not in given]
        values = {name: F.col(name) for name in names}
        records = added
    else:
        values = {name: F.expr(sql) for name, sql in rules.derived.items()}
    for name, value in values.items():
        typed = value.cast(rules.types.get(name, "string"))
        records = records.withColumn(name, outcomes.when_valid(typed))
    return records
