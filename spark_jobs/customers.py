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

from schemas.contract import load_contract
from spark_jobs.pipeline import Input, Pipeline
from spark_jobs.run.command import main
from spark_jobs.targets import PLACE, FileSet, SqlTable, Topic
from spark_jobs.transforms.customers import FIELDS, classify_customers
from spark_jobs.transforms.outcomes import ALERT, VALID
from spark_jobs.transforms.pseudonymise import Digests

ALERT_KEY = ("kafka_topic", *PLACE)
ALERT_COLUMNS = (*FIELDS, "reasons", *ALERT_KEY)
# An alert may lack the id.
KEY = "coalesce(customer_id, '')"


def _classify(messages: DataFrame, digests: Digests | None) -> DataFrame:
    return classify_customers(messages)


CUSTOMERS = Pipeline(
    name="customers",
    contract=load_contract("customer"),
    id_columns=("customer_id",),
    # A generated file has faults of every kind.
    made_by=Input(
        "producers.customers",
        usual_count=500,
        makes_faults=False,
        ends=True,
        file_setting="customers_source",
        rate_setting="customers_rate",
    ),
    classify_by=_classify,
    sql_tables=(SqlTable("customers_usa", VALID), SqlTable("customers_alerts", ALERT)),
    file_sets=(
        FileSet("customers_usa", outcome=VALID),
        FileSet("customers_alerts", columns=ALERT_COLUMNS, outcome=ALERT, key=ALERT_KEY),
    ),
    topics=(
        Topic("customers-usa", FIELDS, VALID, key=KEY),
        Topic("customers-alerts", (*FIELDS, "reasons"), ALERT, key=KEY),
    ),
    reads="customers-raw",
    separable=("files", "postgres"),
)

if __name__ == "__main__":
    sys.exit(main([CUSTOMERS]))
