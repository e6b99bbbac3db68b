"""Fingerprint of a pipeline's code: which rows it makes, and how it stores the ids it has seen.

A batch that one version of the code began must not be finished by another: some sinks would hold
rows of the one, some of the other. And deduplication state can only be read by code that keeps it
in the same form.

The fingerprint of the rows is the analysed plan that the code yields for an empty batch of
messages, with fixed settings and a fixed clock: the same in every process, and different as soon
as a transform changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache

import pyspark
from pydantic import SecretStr
from pyspark.sql import DataFrame, SparkSession

from errors import JobError
from schemas.spark import MESSAGE_SCHEMA
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.session import SHUFFLE_PARTITIONS, deduplication_partitions
from spark_jobs.state.checkpoint import Checkpoint, checkpoint_of
from spark_jobs.transforms.deduplicate import select_first_arrivals

DUMMY_KEY = "fingerprint"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATE_PROVIDER = "spark.sql.streaming.stateStore.providerClass"
FIELDS_IN_PLANS = "spark.sql.debug.maxToStringFields"
PLAN_LENGTH = "spark.sql.maxPlanStringLength"
LONGEST_PLAN = 2**31 - 16  # Spark's own limit
ALL_FIELDS = 2**31 - 1
# Numbers that Spark assigns in order of use: expressions `#12`, `#12L`, lambda variables `x_12`,
# and in plans `plan_id=12`.
RUNNING_NUMBERS = re.compile(r"#\d+|\blambda [a-z]+_\d+|\b[xyz]_\d+\b|plan_id=\d+")
STATE_KEY = "record_id"
FILE_NAME = "millrace-code.json"
SOURCES = (".py", ".json", ".java", ".conf")
HEX_DIGITS = 12


@dataclass(frozen=True)
class Fingerprint:
    """Identifies the code by what it makes of messages.

    Attributes:
        rows: Digest of the plan.
        spark: Major and minor version of Spark.
        state_key: Column and type of the remembered ids.
        state_provider: Class that keeps them.
        partitions: Number of partitions over which they are spread.
        sources: Digest of the source files; equal files have the same values in all fields above.
    """

    rows: str
    spark: str
    state_key: str
    state_provider: str
    partitions: int
    sources: str = ""

    @property
    def state(self) -> str:
        """Digest of everything that determines how ids are remembered."""
        parts = (self.spark, self.state_key, self.state_provider, str(self.partitions))
        return _digest("\n".join(parts))

    def __str__(self) -> str:
        return f"{self.state}/{self.rows}"

    def differences(self, other: Fingerprint) -> str:
        """Which parts of the state differ: `spark 3.5, now 4.0`."""
        mine, others = asdict(self), asdict(other)
        compared = mine.keys() - {"rows", "sources"}
        names = [name for name in mine if name in compared and mine[name] != others[name]]
        return ", ".join(f"{name} {mine[name]}, now {others[name]}" for name in names)


def fingerprint(pipeline: Pipeline, settings: Settings, spark: SparkSession) -> Fingerprint:
    """The fingerprint of the running code on the pipeline's checkpoint."""
    messages = spark.createDataFrame([], MESSAGE_SCHEMA)
    # Key and mode have a check of their own (`hash_key_id`) and must not be part of a plan.
    fixed = settings.model_copy(
        update={"pii_hash_key": SecretStr(DUMMY_KEY), "pii_hash_mode": "hmac-sha256"}
    )
    # Shards that settings give: a table that has others is refused before a batch is repeated.
    classified = (pipeline.undivided or pipeline).classify(messages, fixed)
    arrivals = classified.transform(
        select_first_arrivals, days=7, partitions=SHUFFLE_PARTITIONS, not_before=EPOCH
    )
    checkpoint = checkpoint_of(settings, pipeline.name)
    version = ".".join(spark.version.split(".")[:2])
    return Fingerprint(
        rows=_digest(f"{version}\n{_plan_text(arrivals)}"),
        spark=version,
        state_key=f"{STATE_KEY} {classified.schema[STATE_KEY].dataType.simpleString()}",
        state_provider=str(spark.conf.get(STATE_PROVIDER)).rsplit(".", 1)[-1],
        partitions=checkpoint.shuffle_partitions() or deduplication_partitions(spark),
        sources=sources_digest(),
    )


@cache
def sources_digest() -> str:
    """Digest of everything that determines a fingerprint, except the checkpoint."""
    paths = [PROJECT_ROOT / "settings.py"]
    for folder in ("runtime", "schemas", "spark_jobs"):
        paths += sorted(p for p in (PROJECT_ROOT / folder).rglob("*") if p.suffix in SOURCES)
    digest = hashlib.sha256(pyspark.__version__.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:HEX_DIGITS]


def needs_spark(checkpoint: Checkpoint) -> bool:
    """Whether Spark must run to show whether the running code wrote a checkpoint."""
    if not checkpoint.can_be_reached:
        return True
    if checkpoint.last_planned() is None:
        return False
    before = recorded(checkpoint)
    return before is None or before.sources != sources_digest()


def _plan_text(rows: DataFrame) -> str:
    with _all_fields(rows.sparkSession):
        plan = rows._jdf.queryExecution().analyzed()  # noqa: SLF001 - no API in Python
        text = str(plan.treeString(True, False, ALL_FIELDS, False))
    numbers: dict[str, str] = {}
    return RUNNING_NUMBERS.sub(lambda m: numbers.setdefault(m[0], f"@{len(numbers)}"), text)


@contextmanager
def _all_fields(spark: SparkSession) -> Iterator[None]:
    """Make plans name all fields, where Spark would write `... 12 more fields`, to their end."""
    wanted = {FIELDS_IN_PLANS: str(ALL_FIELDS), PLAN_LENGTH: str(LONGEST_PLAN)}
    before = {name: str(spark.conf.get(name)) for name in wanted}
    _set(spark, wanted)
    try:
        yield
    finally:
        _set(spark, before)


def _set(spark: SparkSession, conf: Mapping[str, str]) -> None:
    for name, value in conf.items():
        spark.conf.set(name, value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HEX_DIGITS]


def recorded(checkpoint: Checkpoint) -> Fingerprint | None:
    """The fingerprint of the code that last used a checkpoint; None if it stored none."""
    text = checkpoint.read(FILE_NAME)
    if text is None:
        return None
    try:
        return Fingerprint(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise JobError(
            f"`{checkpoint.path}/{FILE_NAME}` cannot be read ({type(error).__name__}): something"
            " else changed it. Restore it with the checkpoint; or delete it, then only the last"
            " entry of the ledger says which code wrote the checkpoint."
        ) from error


def record(checkpoint: Checkpoint, present: Fingerprint) -> None:
    """Store with a checkpoint which code is about to use it."""
    checkpoint.write(FILE_NAME, json.dumps(asdict(present)))
