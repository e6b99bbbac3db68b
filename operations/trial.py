"""`millrace try`: judges the records of a file as a job would, without any service.

Every record counts as having arrived now, as the first messages of the topic: an id that comes
twice in the file is a duplicate, whatever the stores hold. Nothing is written anywhere, so digests
are made with a key that is thrown away, and personal columns are masked unless `clear` names them.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from errors import MillraceError
from operations.masking import MASK, masked_columns
from operations.spark_session import session_alone
from operations.tables import print_records, print_table, say
from producers.samples import sample_records
from schemas.spark import MESSAGE_SCHEMA
from settings import Settings
from spark_jobs.columns import OF_MESSAGES
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipeline_named
from spark_jobs.sources.local_rows import local_rows
from spark_jobs.transforms.outcomes import REJECTED, STORED
from spark_jobs.transforms.pseudonymise import Digests

FORMATS: Final = ("table", "json")
DUPLICATE: Final = "duplicate"
EXIT_FAILED: Final = 1
# Records that Spark judges at a time, and so the most that are in memory.
CHUNK: Final = 5_000
# Columns that every classified message has.
COMMON: Final = frozenset({*OF_MESSAGES, "key", "value", "kafka_timestamp_ms", "redrives"})
Sample = tuple[str, bytes]


@dataclass(frozen=True)
class Verdict:
    """What a job would make of one record.

    Attributes:
        place: Where in the file it is, such as `line 7`.
        outcome: An outcome of `transforms.outcomes`, or `duplicate`.
        reasons: Reason codes.
        columns: The columns as a JSON object, masked; empty if the record is rejected.
        first: Where the id came first, if it is a duplicate.
    """

    place: str
    outcome: str
    reasons: list[str]
    columns: str
    first: str | None = None

    def as_json(self) -> str:
        """One line; the columns keep the digits that Spark gave them."""
        head: dict[str, Any] = {"record": self.place, "outcome": self.outcome}
        head |= {"duplicate_of": self.first} if self.first else {}
        text = json.dumps({**head, "reasons": self.reasons}, ensure_ascii=False)
        return f'{text[:-1]}, "columns": {self.columns}}}'

    def as_row(self) -> dict[str, Any]:
        """One row of a table."""
        columns: dict[str, Any] = json.loads(self.columns, parse_float=str)
        why = f"as {self.first}" if self.first else ", ".join(self.reasons)
        return {"record": self.place, "outcome": self.outcome, "reasons": why or None} | columns


def try_records(settings: Settings, name: str, file: str, form: str) -> int:
    """Print the verdict on each record of a file, then totals; returns the exit code.

    It is 0 if every record was read, valid or not.

    Args:
        settings: Where pipelines are.
        name: A pipeline, built-in or a user's.
        file: The file, or `-` for standard input.
        form: One of `FORMATS`; totals of `json` go to standard error.

    Raises:
        MillraceError: There is no such pipeline or file, or Java is missing.
    """
    pipeline = pipeline_named(name, settings)
    samples = sample_records(file)
    # Before Spark starts, so that a mistyped name is answered at once.
    first = [*islice(samples, CHUNK)]
    if not first:
        raise MillraceError(f"`{file}` has no records; nothing was judged.")
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    failed: MillraceError | None = None
    with session_alone(settings, "try", say_to_errors) as spark:
        try:
            for verdict in verdicts(spark, pipeline, _in_chunks(first, samples)):
                outcomes[verdict.outcome] += 1
                reasons.update(verdict.reasons)
                if form == "json":
                    say(verdict.as_json())
                else:
                    rows.append(verdict.as_row())
        except MillraceError as error:
            # What came before the damage is judged and shown.
            failed = error
    if form == "table":
        print_records(rows, "table", whole=True)
        _print_totals(outcomes, reasons)
    else:
        say_to_errors(_totals(outcomes, reasons))
    if failed:
        say_to_errors(f"{failed} The records before it were judged.")
        return EXIT_FAILED
    return 0


def say_to_errors(text: str) -> None:
    """Print a line to standard error, so that standard output has records only."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _in_chunks(chunk: list[Sample], others: Iterator[Sample]) -> Iterator[list[Sample]]:
    while chunk:
        yield chunk
        chunk = [*islice(others, CHUNK)]


def verdicts(
    spark: SparkSession, pipeline: Pipeline, chunks: Iterable[list[Sample]]
) -> Iterator[Verdict]:
    """Yield the verdict on each record, in the order of the file."""
    digests = Digests.hmac_sha256(secrets.token_hex(32)) if pipeline.hashes else None
    seen: dict[str, str] = {}
    offset = 0
    for samples in chunks:
        messages = _messages(spark, pipeline, samples, offset)
        judged = pipeline.judge(messages, digests).transform(_shown, pipeline)
        rows = sorted(judged.collect(), key=lambda row: row.kafka_offset)
        for (place, _), row in zip(samples, rows, strict=True):
            first = seen.setdefault(row.record_id, place)
            is_first = first == place or row.outcome not in STORED
            yield Verdict(
                place,
                row.outcome if is_first else DUPLICATE,
                list(row.reasons),
                row.columns if row.outcome != REJECTED else "{}",
                None if is_first else first,
            )
        offset += len(samples)


def _messages(
    spark: SparkSession, pipeline: Pipeline, samples: list[Sample], offset: int
) -> DataFrame:
    """One message per record, on one partition from `offset`."""
    now = datetime.now(UTC)
    number = int(now.timestamp() * 1000)
    rows = [
        (None, value, pipeline.name, 0, offset + place, now, number, 0)
        for place, (_, value) in enumerate(samples)
    ]
    return local_rows(spark, rows, MESSAGE_SCHEMA)


def _shown(classified: DataFrame, pipeline: Pipeline) -> DataFrame:
    """What is shown of classified messages: `columns` is a JSON object of their own columns."""
    hidden = masked_columns(pipeline, classified.columns)
    own = [
        F.when(F.col(name).isNotNull(), F.lit(MASK)).alias(name) if name in hidden else F.col(name)
        for name in classified.columns
        if name not in COMMON and name != "hash_key_id"
    ]
    text = F.to_json(F.struct(*own), {"ignoreNullFields": "false"}) if own else F.lit("{}")
    return classified.select(
        "record_id", "kafka_offset", "outcome", "reasons", text.alias("columns")
    )


def _print_totals(outcomes: Counter[str], reasons: Counter[str]) -> None:
    print_table("", ["outcome", "records"], outcomes.most_common())
    if reasons:
        print_table("", ["reason", "records"], reasons.most_common())


def _totals(outcomes: Counter[str], reasons: Counter[str]) -> str:
    parts = [f"{name}={count}" for name, count in outcomes.most_common()]
    parts += [f"{name}={count}" for name, count in reasons.most_common()]
    return " ".join(parts)
