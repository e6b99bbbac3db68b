"""Pipeline *profiles*: topic `users_profiles` -> keyspace `usersprofilespace`, profile aggregates.

Run it alone: `python -m spark_jobs.profiles --help`, or `spark-submit spark_jobs/profiles.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in {None, ""}:  # spark-submit of this file: make the project importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keys import load_pii_hash_key
from settings import Settings
from spark_jobs.aggregates import UNKNOWN, Aggregate, average, band, count, total
from spark_jobs.changes import BatchSummary
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.command import main
from spark_jobs.targets import LINEAGE, SqlTable, Table
from spark_jobs.transforms.age import AGE_BANDS
from spark_jobs.transforms.profiles import SHARDS, classify_profiles
from spark_jobs.transforms.pseudonymise import Digests

KEYSPACE = "usersprofilespace"
COLUMNS = (
    "identifiant",
    "title",
    "gender",
    "full_name",
    "username",
    "email",
    "domain_name",
    "phone",
    "full_address",
    "age",
    "inscription",
    "nationality",
    "hash_key_id",
    *LINEAGE,
)

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


def _classify(messages: DataFrame, settings: Settings) -> DataFrame:
    return classify_profiles(messages, digests=_digests(settings))


def _digests(settings: Settings) -> Digests:
    key = load_pii_hash_key(settings)
    return Digests.sha256() if key is None else Digests.hmac_sha256(key)


def _hash_key_id(settings: Settings) -> str:
    return _digests(settings).key_id


def _select_profiles(records: DataFrame) -> DataFrame:
    return records.select(*COLUMNS)


def _select_profiles_by_nationality(records: DataFrame) -> DataFrame:
    by_nationality = records.select(*COLUMNS, "shard")
    return by_nationality.withColumn("nationality", F.coalesce("nationality", F.lit(UNKNOWN)))


def _shards_of_nations(summary: BatchSummary) -> int:
    """Most partitions of `profiles_by_nationality` in a batch: each shard of each nationality."""
    nations = sum(change.collection == BY_NATIONALITY.name for change in summary.changes)
    return nations * SHARDS


PROFILES = Pipeline(
    name="profiles",
    topic=lambda settings: settings.profiles_topic,
    tables=(
        Table(KEYSPACE, "users_profiles", _select_profiles),
        Table(
            *(KEYSPACE, "profiles_by_nationality"),
            *(_select_profiles_by_nationality, _shards_of_nations),
            derived={"shard": "cast(conv(substr(identifiant, 1, 1), 16, 10) AS int)"},
            stand_ins={"nationality": UNKNOWN},
        ),
    ),
    sql_tables=(SqlTable("users_profiles", _select_profiles, key=("identifiant",)),),
    classify=_classify,
    hash_key_id=_hash_key_id,
    aggregates=AGGREGATES,
)

if __name__ == "__main__":
    sys.exit(main([PROFILES]))
