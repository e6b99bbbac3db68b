"""`make verify`: proves from broker, ledger and stores that nothing is lost or doubled."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pymongo.database import Database
from pyspark.sql import SparkSession

from errors import JobError, MillraceError
from operations.activity import Activities, shown
from operations.overview.proof import keep_proof
from operations.pipelines import last_entries
from operations.spark_session import repair_session
from operations.verify.account import Account
from operations.verify.accounts import take_accounts
from operations.verify.report import print_accounts, remarks
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import kinds_of
from spark_jobs.sources.broker import existing_topics
from spark_jobs.state.ledger import COLLECTION

# Up to so many messages, Java's second compiler takes longer than it saves: of 26,000 a third of
# all processor time.
BRIEF_MESSAGES = 100_000
# ExpectedAggregates of each aggregate that `make run` shows, the largest first.
SAMPLE_SIZE = 3
Document = dict[str, Any]


def verify(settings: Settings) -> int:
    """Print every account; returns 0 only if everything is accounted for."""
    with shown() as seen:
        with seen.doing("verify: looks whether broker and stores answer"):
            is_brief = _look_at_stores(settings)
        with repair_session(
            settings, "verify", lambda text: None, is_brief=is_brief, activities=seen
        ) as spark:
            accounts = balance(settings, spark, seen, stores_away(settings))
    print_accounts(accounts)
    known = {account.pipeline for account in accounts}
    for pipeline in pipelines_of(settings):
        if known.isdisjoint(part.name for part in pipeline.parts()):
            topic = pipeline.topic(settings)
            sys.stdout.write(f"{pipeline.name}: never run, as there is no topic `{topic}`\n")
    balanced = all(account.balanced for account in accounts)
    waiting = sum(account.waiting for account in accounts)
    bound = f", up to the last confirmed batches; {waiting} messages wait" if waiting else ""
    verdict = f"verified: nothing lost, nothing doubled{bound}" if balanced else "NOT verified"
    sys.stdout.write(f"{verdict}\n")
    return 0 if balanced else 1


def _look_at_stores(settings: Settings) -> bool:
    """Check, before Spark starts, that broker and ledger answer: nothing is compared without them.

    Returns whether there is little to read.
    """
    existing_topics(settings)
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        return has_read_little(settings, confirmed_database(client, settings))


def stores_away(settings: Settings) -> dict[str, str]:
    """The sinks that do not answer, by name, each with the reason."""
    away = {}
    for sink, *_ in kinds_of(pipelines_of(settings), settings).values():
        try:
            sink.answer()
        except MillraceError as error:
            away[sink.name] = str(error)
    return away


def has_read_little(settings: Settings, database: Database[Document]) -> bool:
    """Whether jobs have read so few messages that a brief session is faster.

    Expired messages count as well: the stores still have their rows.
    """
    try:
        last = last_entries(settings, database)
    except JobError:
        return False  # an entry that cannot be read, which the account names
    ends = [end for entry in last for _, end in entry.offsets.values()]
    return sum(ends) <= BRIEF_MESSAGES


def balance(
    settings: Settings,
    spark: SparkSession,
    activities: Activities | None = None,
    away: Mapping[str, str] = MappingProxyType({}),
) -> list[Account]:
    """Every pipeline's account, which is kept as the last proof.

    Each account in work is one of the `activities`; `away` are sinks that do not answer, each with
    the reason.
    """
    seen = activities or Activities()
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        known = ever_run(settings, database)
        accounts = take_accounts(settings, database, spark, known, away, seen)
        balanced = all(each.balanced for each in accounts)
        faults = [] if balanced else [*remarks(accounts)]
        names = {each.pipeline for each in accounts}
        keep_proof(database, faults, verified=balanced, pipelines=names)
        return accounts


def ever_run(settings: Settings, database: Database[Document]) -> list[Pipeline]:
    """The enabled pipelines but those of which neither broker nor ledger knows anything.

    `make run PIPELINE=orders` prepares nothing for the others. All if none is known: what is
    missing is then named.
    """
    topics, enabled = existing_topics(settings), pipelines_of(settings)

    def is_known(pipeline: Pipeline) -> bool:
        topic = pipeline.topic(settings)
        return not {topic, dead_letter_topic(topic)}.isdisjoint(topics) or any(
            database[COLLECTION].find_one({"pipeline": part.name}) for part in pipeline.parts()
        )

    return [pipeline for pipeline in enabled if is_known(pipeline)] or list(enabled)
