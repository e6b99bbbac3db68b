"""A pipeline's declaration: its contract, rules, tables, file sets, topics and aggregates.

    PIPELINE = Pipeline(
        derived={"order_day": "to_date(created_at)"},
        keep="status <> 'test'",
        tables=(Table("orders.orders"), Table("orders.orders_by_day")),
        file_sets=(FileSet("orders", day="created_at"),),
        aggregates=(Aggregate("orders_by_country", by=("country",), measures={"count": count()}),),
    )

Conditions and derived columns are Spark SQL on the columns of the contract (`x-column`), on
`hash_key_id` if a field is hashed, and on the lineage. docs/your-own-pipeline.md explains the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from cql.division import shards_of
from keys import load_pii_hash_key
from schemas.contract import Contract
from settings import Settings
from spark_jobs.aggregates import Aggregate
from spark_jobs.changes import BatchSummary, Row, roll_up
from spark_jobs.columns import column_types, schema_of, shard_columns, usual_columns
from spark_jobs.targets import FileSet, Snapshot, SqlTable, Table, Topic
from spark_jobs.transforms.declared import Rules, classify_declared, with_derived
from spark_jobs.transforms.outcomes import ALERT, VALID
from spark_jobs.transforms.pseudonymise import Digests
from spark_jobs.transforms.record_ids import id_sql
from spark_jobs.transforms.summarise import summarise

CQL_FILE: Final = "tables.cql"
SQL_FILE: Final = "tables.sql"

Derived = Mapping[str, str] | Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Input:
    """The producer that `make run`, `make stream` and the crash tests start.

    Attributes:
        module: Run by `python -m`, with `arguments` and then `--count`, `--rate`, `--seed`.
        arguments: What comes before its options.
        usual_count: Records that `make run` sends.
        makes_faults: Whether it takes `--invalid-ratio` and `--duplicate-ratio`.
        ends: Whether it ends by itself, with its file.
        file_setting: The setting that names its file; None for none.
        rate_setting: The setting with its records per second; None for none.
        offline: Settings, by name, with which it uses no service on the Internet.
    """

    module: str
    arguments: tuple[str, ...] = ()
    usual_count: int = 1000
    makes_faults: bool = True
    ends: bool = False
    file_setting: str | None = None
    rate_setting: str | None = None
    offline: Mapping[str, str] = field(default_factory=dict, hash=False)

    def faults(self, invalid_ratio: float, duplicate_ratio: float) -> list[str]:
        """Options for this share of faults and duplicates."""
        ratios = ["--invalid-ratio", str(invalid_ratio), "--duplicate-ratio", str(duplicate_ratio)]
        return ratios if self.makes_faults else []


@dataclass(frozen=True)
class Pipeline:
    """Everything that distinguishes one pipeline from another.

    Attributes:
        name: By default the name of its folder.
        contract: The fields of its messages; by default the folder's `contract.schema.json`.
        derived: Column -> Spark SQL, or a pure function that adds columns. The type is that of the
            column of that name in a table, else text.
        keep: SQL condition; a valid record that does not meet it is filtered: counted, not stored.
        alert: SQL condition; a kept record that meets it has the outcome `alert`, else `valid`.
        tables: Tables of Cassandra; the first has every column that aggregates and conditions use.
        sql_tables: Tables of PostgreSQL.
        file_sets: Sets of files.
        snapshots: Small tables in files, from aggregates.
        topics: Topics to which records are forwarded, whatever `SINKS` says.
        aggregates: Collections of MongoDB.
        clear: Columns that may hold `personal` data in clear; `millrace check` refuses others.
        reads: The topic that it reads, if the setting `<NAME>_TOPIC` names none; by default its
            name.
        separable: Sinks that a separate job may feed (`--sinks postgres`), with its own checkpoint
            and ledger, under the pipeline's name and theirs.
        id_columns: What identifies a record; by default the contract's fields with `x-id`.
        made_by: The producer of its input; by default one that follows the contract.
        classify_by: Reads messages in a way of its own instead of by the contract alone.
        folder: Where a user's declaration is; None for a built-in one.
        undivided: What it was before settings divided its tables into shards.
    """

    name: str = ""
    contract: Contract = field(default=Contract("", ()), compare=False)
    derived: Derived = field(default_factory=dict, hash=False)
    keep: str | None = None
    alert: str | None = None
    tables: tuple[Table, ...] = ()
    sql_tables: tuple[SqlTable, ...] = ()
    file_sets: tuple[FileSet, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    topics: tuple[Topic, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    clear: tuple[str, ...] = ()
    reads: str | None = None
    separable: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    made_by: Input | None = None
    classify_by: Callable[[DataFrame, Digests | None], DataFrame] | None = None
    folder: Path | None = None
    undivided: Pipeline | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Fill in the columns and types of file sets and topics, once the contract is known."""
        if not self.contract.fields:
            return
        if not self.id_columns:
            ids = tuple(f.column for f in self.contract.id_fields if f.column)
            object.__setattr__(self, "id_columns", ids)
        if not callable(self.derived):
            shards = shard_columns(self.contract, self.id_columns, self.tables)
            derived = {**shards, **self.derived}
            object.__setattr__(self, "derived", derived)
        usual = usual_columns(self.contract, self.tables)
        sets = [
            replace(
                each,
                schema=schema_of(each.columns or usual, self.column_types),
                key=each.key or self.id_columns,
            )
            for each in self.file_sets
        ]
        topics = [replace(each, columns=each.columns or usual) for each in self.topics]
        object.__setattr__(self, "file_sets", tuple(sets))
        object.__setattr__(self, "topics", tuple(topics))

    @property
    def family(self) -> str:
        """The name of the whole pipeline, also for a part that feeds only some of its sinks."""
        return self.name.partition("-")[0]

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections of its aggregates."""
        return tuple(aggregate.name for aggregate in self.aggregates)

    def with_derived(self, rows: DataFrame, missing: Mapping[str, DataType]) -> DataFrame:
        """Stored rows with those of the missing columns that are derived, in these types."""
        added = self.derived(rows) if callable(self.derived) else rows
        own = {} if callable(self.derived) else self.derived
        sql = {**own, **{column: text for t in self.tables for column, text in t.derived.items()}}
        added = added.withColumns({n: F.expr(sql[n]) for n in missing if n in sql})
        found = {n: F.col(n).cast(kind) for n, kind in missing.items() if n in added.columns}
        return added.select(*rows.columns, *(value.alias(n) for n, value in found.items()))

    @property
    def stand_ins(self) -> dict[str, str]:
        """Key column of a table -> its value where the record has null."""
        return {column: text for t in self.tables for column, text in t.stand_ins.items()}

    @property
    def input(self) -> Input:
        """The producer of its input."""
        return self.made_by or Input("producers.generated", (self.family,))

    @property
    def job_module(self) -> list[str]:
        """The job as `python -m` takes it, before its options."""
        return ["spark_jobs.job", self.family] if self.folder else [f"spark_jobs.{self.family}"]

    @property
    def id_sql(self) -> str:
        """SQL that gives a stored record's id, as one value."""
        return self.key_sql(self.id_columns)

    def key_sql(self, columns: Iterable[str]) -> str:
        """SQL that gives the value of a key, in the form of ids."""
        types = self.column_types
        return id_sql({name: types.get(name, "string") for name in columns})

    @property
    def hashes(self) -> bool:
        """Whether records hold digests, so that a key is needed."""
        return any(f.sensitivity == "hashed" and f.column for f in self.contract.fields)

    def topic(self, settings: Settings) -> str:
        """The topic that it reads."""
        return settings.topic_of(self.family) or self.reads or self.family

    def forward_topics(self, settings: Settings) -> dict[str, Topic]:
        """The topics to which it forwards records, by the name that the settings give them."""
        return {settings.topic_of(each.name) or each.name: each for each in self.topics}

    def all_topics(self, settings: Settings) -> list[str]:
        """The topic that it reads, and those to which it forwards records."""
        return [self.topic(settings), *self.forward_topics(settings)]

    def hash_key_id(self, settings: Settings) -> str | None:
        """The id of the digests' key; None without digests."""
        digests = self._digests(settings)
        return digests.key_id if digests else None

    def classify(self, messages: DataFrame, settings: Settings) -> DataFrame:
        """Classify messages.

        Columns in: as of `schemas.spark.MESSAGE_SCHEMA`.
        Columns out: those of `transforms.records`, then the derived ones.
        Grain: one message, nothing dropped.
        """
        return self.judge(messages, self._digests(settings))

    def judge(self, messages: DataFrame, digests: Digests | None) -> DataFrame:
        """Like `classify`, with digests that are given."""
        rules = Rules(self.contract, self.derived, self.column_types, self.keep, self.alert)
        if self.classify_by is not None:
            return with_derived(self.classify_by(messages, digests), rules)
        return classify_declared(messages, rules, digests)

    def _digests(self, settings: Settings) -> Digests | None:
        if not self.hashes:
            return None
        key = load_pii_hash_key(settings)
        return Digests.sha256() if key is None else Digests.hmac_sha256(key)

    @property
    def stored_outcome(self) -> Column:
        """The outcome of a row in its tables, from its columns: `valid` or `alert`."""
        if self.alert is None:
            return F.lit(VALID)
        return F.when(F.expr(self.alert), F.lit(ALERT)).otherwise(F.lit(VALID))

    @property
    def column_types(self) -> dict[str, str]:
        """Column -> Spark type of all that a record may have."""
        return column_types(self.contract, self.tables, self.sql_tables)

    def summarise(self, classified: DataFrame) -> DataFrame:
        """The rows of `transforms.summarise` for its aggregates."""
        return summarise(classified, self.aggregates)

    def roll_up(self, rows: Iterable[Row]) -> BatchSummary:
        """Counts and changes from its rows."""
        return roll_up(rows, self.aggregates)

    def divided(self, settings: Settings) -> Pipeline:
        """With the shards that settings give tables; a user's declaration has its own."""
        shards = {t.place: shards_of(settings, t.name) for t in self.tables}
        if self.folder or self.undivided or {*shards.values()} <= {1}:
            return self
        tables = (t.divided(shards[t.place]) for t in self.tables)
        return replace(self, tables=tuple(tables), undivided=self)

    def feeding(self, sinks: tuple[str, ...]) -> Pipeline:
        """The part of the pipeline that feeds only these of its separable sinks."""
        own = sorted(set(sinks) & {*self.separable})
        return replace(self, name="-".join([self.family, *own]))

    def parts(self) -> list[Pipeline]:
        """The pipeline, and each of its parts that a job may run alone."""
        chosen = (
            self.feeding(sinks)
            for number in range(1, len(self.separable) + 1)
            for sinks in combinations(self.separable, number)
        )
        return [self, *chosen]
