"""What the PySpark shell offers at its start."""

from __future__ import annotations

from operations.pyspark_shell import examples
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in
from spark_jobs.targets import SqlTable, Table


def test_examples_are_of_the_first_pipelines_that_have_such_a_thing(settings: Settings) -> None:
    orders = Pipeline(name="orders", tables=(Table("orders.orders"),))

    assert examples([orders, *built_in()], settings) == [
        '  topic("orders")                         its messages',
        '  files("tickets_with_assignment")        a set of files',
        '  postgres("tickets")                     a table of PostgreSQL',
        '  mongodb["tickets_by_team"].find()       a collection of MongoDB',
        '  spark.table("cassandra.orders.orders")  a table of Cassandra',
    ]


def test_nothing_is_offered_that_no_pipeline_has(settings: Settings) -> None:
    orders = Pipeline(name="orders", sql_tables=(SqlTable("orders"),))

    assert examples([orders], settings) == [
        '  topic("orders")     its messages',
        '  postgres("orders")  a table of PostgreSQL',
    ]
    assert examples([], settings) == []
