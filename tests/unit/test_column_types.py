"""What types of stores are called by the servers and by Spark."""

from __future__ import annotations

import pytest

from cql.declared import CassandraShape
from schemas.fields import Contract
from spark_jobs.columns import column_types, spark_type
from spark_jobs.targets import SqlTable, Table
from sql.declared import PostgresShape, server_type, shapes_of

# Every name was read from a server: `format_type` of a column that was created with it.
IN_POSTGRESQL = {
    "timestamptz": "timestamp with time zone",
    "timestamptz(3)": "timestamp(3) with time zone",
    "Timestamp (3)  With Time Zone": "timestamp(3) with time zone",
    "timestamp": "timestamp without time zone",
    "numeric(12, 2)": "numeric(12,2)",
    "numeric(6)": "numeric(6,0)",
    "dec(5,2)[]": "numeric(5,2)[]",
    "varchar(40)": "character varying(40)",
    "character varying": "character varying",
    "char": "character(1)",
    "char(3)": "character(3)",
    "float": "double precision",
    "float4": "real",
    "int2": "smallint",
    "text array": "text[]",
    "int[3]": "integer[]",
    "double precision[][]": "double precision[]",
    "uuid[2]": "uuid[]",
}


@pytest.mark.parametrize(("written", "name"), IN_POSTGRESQL.items())
def test_type_of_a_column_has_the_name_that_the_server_gives_it(written: str, name: str) -> None:
    assert server_type(written) == name
    (shape,) = shapes_of(
        f"CREATE TABLE t (a {written} NOT NULL, b {written} PRIMARY KEY)", "t.sql"
    ).values()
    assert shape.columns == {"a": name, "b": name}


@pytest.mark.parametrize(
    ("store", "spark"),
    [
        ("text", "string"),
        ("uuid", "string"),
        ("varint", "decimal(38,0)"),
        ("decimal", "decimal(38,18)"),
        ("list<decimal>", "array<decimal(38,18)>"),
        ("frozen<list<text>>", "array<string>"),
        ("set<timestamp>", "array<timestamp>"),
        ("numeric(12,2)", "decimal(12,2)"),
        ("numeric(6,0)[]", "array<decimal(6,0)>"),
        ("numeric", "decimal(38,18)"),
        ("character varying(40)", "string"),
        ("character(1)", "string"),
        ("timestamp(3) with time zone", "timestamp"),
        ("timestamp with time zone[]", "array<timestamp>"),
        ("double precision[]", "array<double>"),
        ("real", "float"),
        ("bigint", "bigint"),
    ],
)
def test_type_of_a_store_has_its_name_in_spark(store: str, spark: str) -> None:
    assert spark_type(store) == spark


def test_derived_decimal_has_the_digits_that_a_table_says() -> None:
    """Cassandra's decimals have none, so a value must not be more exact than PostgreSQL's."""
    shape = CassandraShape({"share": "decimal", "tax": "decimal", "shares": "list<decimal>"}, ())
    numbers = PostgresShape({"share": "numeric(14,4)", "shares": "numeric(5,2)[]"}, ())
    tables, sql_tables = [Table("k.t", shape=shape)], [SqlTable("t", shape=numbers)]

    types = column_types(Contract("", ()), tables, sql_tables)

    assert types["share"] == "decimal(14,4)"
    assert types["shares"] == "array<decimal(5,2)>"
    assert types["tax"] == "decimal(38,18)"
