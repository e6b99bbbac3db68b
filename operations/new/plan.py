"""What is proposed for a pipeline: everything that the files of its folder say."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column of the tables: its type in Cassandra and PostgreSQL, and what it holds."""

    name: str
    cassandra: str
    postgresql: str
    comment: str = ""


@dataclass(frozen=True)
class TablePlan:
    """A table of Cassandra.

    Attributes:
        name: Its name.
        comment: What a row is, and how it is found.
        own: Columns that only this table has.
        derived: Of these, the SQL.
        stand_ins: Key column -> its value where a record has none.
        shards: Into how many partitions the rows of one key are divided.
        partition: Columns of the partition key.
        clustering: Further columns of the key; those of time are in falling order.
        falling: The clustering column in falling order, if there is one.
    """

    name: str
    comment: str
    partition: tuple[str, ...]
    clustering: tuple[str, ...] = ()
    falling: str | None = None
    own: tuple[Column, ...] = ()
    derived: dict[str, str] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)
    shards: int = 1


@dataclass(frozen=True)
class AggregatePlan:
    """An aggregate: its dimensions and measures as Python source."""

    name: str
    by: tuple[str, ...]
    measures: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """Everything that the files of the folder say.

    Attributes:
        name: The pipeline's name.
        topic: The topic, if it is not the name.
        columns: Columns of every table: the contract's, derived ones, lineage.
        derived: Derived column -> SQL.
        ids: Columns of the id.
        tables: Tables of Cassandra.
        file_day: Column whose day names the folders of the file set; None for no folders.
        aggregates: What is counted.
        clear: Columns with personal data in clear.
    """

    name: str
    topic: str | None
    columns: tuple[Column, ...]
    derived: dict[str, str]
    ids: tuple[str, ...]
    tables: tuple[TablePlan, ...]
    file_day: str | None
    aggregates: tuple[AggregatePlan, ...]
    clear: tuple[str, ...]
