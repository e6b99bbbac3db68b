"""A contract's columns are built once, and any plan may take them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from py4j.java_gateway import GatewayClient
from py4j.protocol import CALL_COMMAND_NAME
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

from settings import Settings
from spark_jobs.customers import CUSTOMERS
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.start_checks.fingerprint import fingerprint
from spark_jobs.tickets import TICKETS
from spark_jobs.transforms.layers import built_once
from tests.support.builders import customer, profile, ticket
from tests.support.own_pipelines import example

# The begin of a part in the tree that Spark writes of an expression.
PART = re.compile(r"^[ :]*[+:]- ", re.MULTILINE)
Frame = Callable[..., DataFrame]
SETTINGS = Settings(pii_hash_key="a key for tests only", pii_hash_mode="hmac-sha256")
OWN = example("orders")
PIPELINES = [TICKETS, PROFILES, CUSTOMERS, OWN]
# It has numbers, whose rules take the most parts.
OF_NUMBERS = example("sensors")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call of a method in Java from here on; releasing an object is none."""
    made: list[str] = []
    send = GatewayClient.send_command

    def noted(client: GatewayClient, command: str, *options: Any, **named: Any) -> Any:
        if command.startswith(CALL_COMMAND_NAME):
            made.append(command)
        return send(client, command, *options, **named)

    monkeypatch.setattr(GatewayClient, "send_command", noted)
    return made


class SameJava:
    """The running Java process, which is another one to `built_once`."""

    def __init__(self, jvm: Any) -> None:
        self._own = jvm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


@pytest.fixture
def nothing_built(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparkContext, "_jvm", SameJava(spark._jvm))  # noqa: SLF001


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_second_plan_of_a_pipeline_takes_a_fraction_of_the_calls_to_java(
    frame: Frame, pipeline: Pipeline, calls: list[str]
) -> None:
    messages = frame([])
    calls.clear()
    pipeline.classify(messages, SETTINGS)
    first = len(calls)
    calls.clear()

    pipeline.classify(messages, SETTINGS)

    # Each column is still named, and put into the list of its layer.
    assert len(calls) < 300
    assert len(calls) < first / 3


def parts_of(classified: DataFrame) -> int:
    """The parts of all expressions of a plan, each as often as it stands there."""
    plan: Any = classified._jdf.queryExecution().analyzed()  # noqa: SLF001
    found = 0
    while plan.children().size():
        expressions = plan.expressions()
        for n in range(expressions.size()):
            found += 1 + len(PART.findall(expressions.apply(n).treeString()))
        plan = plan.children().apply(0)
    return found


@pytest.mark.parametrize("pipeline", [*PIPELINES, OF_NUMBERS], ids=lambda pipeline: pipeline.name)
def test_plan_has_a_few_hundred_parts_for_each_field(frame: Frame, pipeline: Pipeline) -> None:
    classified = pipeline.classify(frame([]), SETTINGS)

    read = [each for each in pipeline.contract.fields if each.column or each.required]
    assert len(read) > 5
    assert parts_of(classified) < 300 * len(read)


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_fingerprint_is_the_same_whether_columns_are_new_or_not(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    first, second = (fingerprint(pipeline, SETTINGS, spark).rows for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("pipeline", "records"),
    [
        (TICKETS, [ticket(ticket_id="A"), "no JSON", ticket(ticket_id="B")]),
        (PROFILES, [profile(), "no JSON", profile(nat="DE")]),
        (CUSTOMERS, [customer(customer_id="A"), "no JSON", customer(customer_id="B")]),
    ],
    ids=["tickets", "profiles", "customers"],
)
def test_two_plans_of_the_same_columns_can_be_joined(
    frame: Frame, pipeline: Pipeline, records: list[Any]
) -> None:
    place = ["kafka_partition", "kafka_offset"]
    left = pipeline.classify(frame(records), SETTINGS)
    right = pipeline.classify(frame(records), SETTINGS)

    both = left.join(right.select(*place, right.outcome.alias("again")), place)

    found = [(row.outcome, row.again) for row in both.orderBy("kafka_offset").collect()]
    assert found == [("valid", "valid"), ("rejected", "rejected"), ("valid", "valid")]


def test_other_arguments_and_another_java_process_have_columns_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = built_once(lambda name: [name])
    first = build("a")

    assert build("a") is first
    assert build("b") == ["b"]
    monkeypatch.setattr(SparkContext, "_jvm", object())
    assert build("a") is not first
