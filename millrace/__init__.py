"""What a user's pipeline is declared with; docs/your-own-pipeline.md explains it.

from millrace import Aggregate, FileSet, Pipeline, Table, count, day, total
"""

from spark_jobs.aggregates import (
    Aggregate,
    average,
    band,
    count,
    day,
    distinct,
    hour,
    maximum,
    minimum,
    total,
)
from spark_jobs.pipeline import Pipeline
from spark_jobs.targets import FileSet, Snapshot, SqlTable, Table, Topic

__all__ = [
    "Aggregate",
    "FileSet",
    "Pipeline",
    "Snapshot",
    "SqlTable",
    "Table",
    "Topic",
    "average",
    "band",
    "count",
    "day",
    "distinct",
    "hour",
    "maximum",
    "minimum",
    "total",
]
