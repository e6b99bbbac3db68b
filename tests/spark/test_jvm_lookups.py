"""What PySpark looks up in the JVM is looked up once: each look-up searches every jar."""

from __future__ import annotations

from typing import Any

import pytest
from py4j import clientserver
from pyspark.sql import SparkSession
from pyspark.sql import functions as F


@pytest.fixture
def lookups(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up."""
    asked: list[str] = []
    send = clientserver.JavaClient.send_command

    def noted(client: Any, command: str, *more: Any, **options: Any) -> Any:
        kind, _, *name = command.split("\n")
        if kind == "r":
            asked.append(name[0] if "." in name[0] and name[1] == "rj" else ".".join(name[:2]))
        return send(client, command, *more, **options)

    monkeypatch.setattr(clientserver.JavaClient, "send_command", noted)
    return asked


def test_function_is_looked_up_once(lookups: list[str]) -> None:
    for _ in range(2):
        F.soundex(F.lower(F.lit("a")))

    assert lookups.count("org.apache.spark.sql.functions.soundex") == 1


def test_class_of_any_package_is_looked_up_once(spark: SparkSession, lookups: list[str]) -> None:
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API

    assert [jvm.java.time.Duration.ofDays(2).toHours() for _ in range(2)] == [48, 48]

    assert lookups == ["java.time", "java.time.Duration", "java.time.Duration.ofDays"]


def test_class_that_is_not_loaded_yet_is_looked_up_again(
    spark: SparkSession, lookups: list[str]
) -> None:
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API

    for _ in range(2):
        assert jvm.org.apache.NotYet

    assert lookups.count("org.apache.NotYet") == 2
