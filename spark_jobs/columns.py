"""Types of a pipeline's columns: by its contract, else by the tables that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pyspark.sql.types import StructType

from schemas.fields import Contract
from spark_jobs.targets import LINEAGE, SHARD, SqlTable, Table
from spark_jobs.transforms.record_ids import shard_sql

# Columns that every classified message has, and that a target may list.
OF_MESSAGES: Final = {
    "record_id": "string",
    "outcome": "string",
    "reasons": "array<string>",
    "kafka_topic": "string",
    "kafka_partition": "int",
    "kafka_offset": "bigint",
    "kafka_timestamp": "timestamp",
}
# A decimal for which its store says no digits.
UNLIMITED: Final = "decimal(38,18)"
# Types of stores that Spark names otherwise.
SPARK_NAMES: Final = {
    "text": "string",
    "varchar": "string",
    "ascii": "string",
    "uuid": "string",
    "timeuuid": "string",
    "inet": "string",
    "varint": "decimal(38,0)",
    "decimal": UNLIMITED,
    "integer": "int",
    "real": "float",
    "double precision": "double",
    "character varying": "string",
    "character": "string",
    "timestamp with time zone": "timestamp",
}
# What a column of a record may be, by Spark's names.
OF_RECORDS: Final = re.compile(
    r"(?:array<)?(?:string|boolean|tinyint|smallint|int|bigint|float|double|date|timestamp"
    r"|decimal\(\d+,\d+\))>?"
)
JSON_NAMES: Final = {"int": "integer", "bigint": "long", "smallint": "short", "tinyint": "byte"}


def spark_type(store_type: str) -> str:
    """The Spark type of a type of Cassandra or PostgreSQL, as `cql` and `sql` name them."""
    if found := re.fullmatch(r"(?:frozen<)?(?:list|set)<(.*?)>+|(.*)\[\]", store_type):
        return f"array<{spark_type(found[1] or found[2])}>"
    if found := re.fullmatch(r"numeric(\(\d+,\d+\))?", store_type):
        return f"decimal{found[1]}" if found[1] else UNLIMITED
    name = re.sub(r"\(\d+\)", "", store_type)
    return SPARK_NAMES.get(name, name)


def is_fillable(store_type: str) -> bool:
    """Whether a record can have a value of this type of Cassandra or PostgreSQL."""
    return OF_RECORDS.fullmatch(spark_type(store_type)) is not None


def column_types(
    contract: Contract, tables: Iterable[Table], sql_tables: Iterable[SqlTable]
) -> dict[str, str]:
    """Column -> Spark type of all that a record may have."""
    known = {f.column: f.stored_as.spark for f in contract.fields if f.column}
    if any(field.sensitivity == "hashed" for field in contract.fields):
        known["hash_key_id"] = "string"
    known |= OF_MESSAGES
    shapes = [*(t.declared.columns for t in tables), *(t.declared.columns for t in sql_tables)]
    declared = [(column, spark_type(kind)) for s in shapes for column, kind in s.items()]
    # Cassandra's decimals have no digits of their own: PostgreSQL's may say them.
    for column, kind in sorted(declared, key=lambda pair: UNLIMITED in pair[1]):
        known.setdefault(column, kind)
    return known


def shard_columns(
    contract: Contract, id_columns: Iterable[str], tables: Iterable[Table]
) -> dict[str, str]:
    """The derived column of tables with shards and its SQL.

    Empty if no table has them, or those that have derive the column in a way of their own.
    """
    kinds = {f.column: f.stored_as.spark for f in contract.fields if f.column}
    ids = {name: kinds[name] for name in id_columns if name in kinds}
    shards = max((table.shards for table in tables if SHARD not in table.derived), default=1)
    return {SHARD: shard_sql(ids, shards)} if ids and shards > 1 else {}


def usual_columns(contract: Contract, tables: Iterable[Table]) -> tuple[str, ...]:
    """What a file set or topic has unless it lists columns: the first table's, or the contract's.

    The lineage is left out.
    """
    first = next(iter(tables), None)
    own = [f.column for f in contract.fields if f.column]
    names = [*first.declared.columns] if first else [*dict.fromkeys(own)]
    return tuple(name for name in names if name not in LINEAGE)


def schema_of(columns: Iterable[str], types: Mapping[str, str]) -> StructType:
    """The columns with their types; those without a type are text."""
    fields = [
        {"name": n, "type": _as_json(types.get(n, "string")), "nullable": True, "metadata": {}}
        for n in columns
    ]
    # Read as JSON, which needs no Spark, unlike DDL.
    return StructType.fromJson({"fields": fields})


def _as_json(spark_type: str) -> Any:
    if found := re.fullmatch(r"array<(.*)>", spark_type):
        return {"type": "array", "elementType": _as_json(found[1]), "containsNull": True}
    return JSON_NAMES.get(spark_type, spark_type)
