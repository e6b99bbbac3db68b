"""Pipeline *customers*: topic `customers-raw` -> two topics, files, PostgreSQL.

Run it alone: `python -m spark_jobs.customers --help`, or `spark-submit spark_jobs/customers.py`;
with `--sinks files` and `--sinks postgres`, two jobs feed one store each.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in {None, ""}:  # spark-submit of this file: make the project importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType, TimestampType

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.command import main
from spark_jobs.targets import LINEAGE, PLACE, FileSet, SqlTable, Takes
from spark_jobs.transforms.customers import FIELDS, classify_customers
from spark_jobs.transforms.outcomes import ALERT, VALID

# Columns as readers of the files see them.
FILE_SCHEMA = StructType(
    [StructField(n, TimestampType() if n == "created_at" else StringType()) for n in FIELDS]
)
ALERT_SCHEMA = (
    StructType([*FILE_SCHEMA])
    .add("reasons", ArrayType(StringType()))
    .add("kafka_topic", "string")
    .add("kafka_partition", "integer")
    .add("kafka_offset", "long")
)
ALERT_KEY = ("kafka_topic", *PLACE)
COMPLETE, INCOMPLETE = Takes(VALID), Takes(ALERT)


def _classify(messages: DataFrame, settings: Settings) -> DataFrame:
    return classify_customers(messages)


def _select_usa(records: DataFrame) -> DataFrame:
    return records.filter(F.col("outcome") == VALID).select(*FIELDS, *LINEAGE)


def _select_alerts(records: DataFrame) -> DataFrame:
    alerts = records.filter(F.col("outcome") == ALERT)
    return alerts.select(*FIELDS, "reasons", "kafka_topic", *LINEAGE)


CUSTOMERS = Pipeline(
    name="customers",
    topic=lambda settings: settings.customers_topic,
    tables=(),
    sql_tables=(
        SqlTable("customers_usa", _select_usa, ("customer_id",), COMPLETE),
        SqlTable("customers_alerts", _select_alerts, ALERT_KEY, INCOMPLETE),
    ),
    classify=_classify,
    hash_key_id=lambda settings: None,
    file_sets=(
        FileSet("customers_usa", _select_usa, FILE_SCHEMA, takes=COMPLETE),
        FileSet("customers_alerts", _select_alerts, ALERT_SCHEMA, None, INCOMPLETE, ALERT_KEY),
    ),
    always=("spark_jobs.sinks.topics",),
    separable=("files", "postgres"),
)

if __name__ == "__main__":
    sys.exit(main([CUSTOMERS]))
