"""Pipeline *profiles*: topic `users_profiles` -> keyspace `usersprofilespace`, profile aggregates.

Run it alone: `python -m spark_jobs.profiles --help`, or `spark-submit spark_jobs/profiles.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

if __package__ in {None, ""}:  # spark-submit of this file: make the project importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pyspark.sql import DataFrame

from schemas.contract import load_contract
from spark_jobs.aggregates import UNKNOWN, Aggregate, average, band, count, total
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Input, Pipeline
from spark_jobs.run.command import main
from spark_jobs.targets import SqlTable, Table
from spark_jobs.transforms.age import AGE_BANDS
from spark_jobs.transforms.profiles import SHARDS, classify_profiles
from spark_jobs.transforms.pseudonymise import Digests

BY_NATIONALITY = Aggregate("profiles_by_nationality", ("nationality",), {"count": count()})
AGGREGATES = (
    BY_NATIONALITY,
    Aggregate("profiles_by_gender", ("gender",), {"count": count()}),
    Aggregate("profiles_by_age_band", (band("age", AGE_BANDS),), {"count": count()}),
    Aggregate("profiles_by_domain", ("domain_name",), {"count": count()}),
    Aggregate(
        "profile_metrics",
        measures={
            "total_profiles": count(),
            "age_sum": total("age"),
            "average_age": average("age", parts=("age_sum", "total_profiles")),
        },
    ),
)


def _classify(messages: DataFrame, digests: Digests | None) -> DataFrame:
    return classify_profiles(messages, digests=cast(Digests, digests))


def _nations(summary: BatchSummary) -> int:
    """Most partitions of `profiles_by_nationality` in a batch: each nationality, in all shards."""
    return sum(change.collection == BY_NATIONALITY.name for change in summary.changes)


PROFILES = Pipeline(
    name="profiles",
    contract=load_contract("profile"),
    id_columns=("identifiant",),
    clear=("domain_name",),
    made_by=Input("producers.profiles", usual_count=500, offline={"PROFILES_SOURCE": "offline"}),
    classify_by=_classify,
    tables=(
        Table("usersprofilespace.users_profiles"),
        Table(
            "usersprofilespace.profiles_by_nationality",
            _nations,
            derived={"shard": "cast(conv(substr(identifiant, 1, 1), 16, 10) AS int)"},
            stand_ins={"nationality": UNKNOWN},
            shards=SHARDS,
        ),
    ),
    sql_tables=(SqlTable("users_profiles"),),
    aggregates=AGGREGATES,
)

if __name__ == "__main__":
    sys.exit(main([PROFILES]))
