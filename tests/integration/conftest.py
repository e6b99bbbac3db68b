"""Fixtures of this tier: see tests/support/pipelines.py."""

from tests.support.pipelines import (
    cassandra,
    compiled,
    job_spark,
    make_world,
    no_pause,
    shared_worlds,
)
from tests.support.postgres import make_database, postgres_server

__all__ = [
    "cassandra",
    "compiled",
    "job_spark",
    "make_database",
    "make_world",
    "no_pause",
    "postgres_server",
    "shared_worlds",
]
