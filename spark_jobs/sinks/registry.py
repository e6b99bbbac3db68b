"""Makes the sinks of a pipeline that settings enable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module

from pymongo import MongoClient
from pymongo.database import Database

from runtime.config.sink_modules import SINK_MODULES, TOPICS_MODULE
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.sinks.base import Sink
from spark_jobs.state.ledger import Document


def sinks_of(pipeline: Pipeline, settings: Settings, database: Database[Document]) -> list[Sink]:
    """The enabled sinks to which a pipeline writes, in the order of writing."""
    made = (
        import_module(module).sink(pipeline, settings, database)
        for module in (
            *(module for name, module in SINK_MODULES.items() if name in settings.sinks),
            TOPICS_MODULE,
        )
    )
    return [sink for sink in made if sink is not None]


def sink_names(
    pipeline: Pipeline, settings: Settings, database: Database[Document]
) -> tuple[str, ...]:
    """Names of the enabled sinks to which a pipeline writes."""
    return tuple(sink.name for sink in sinks_of(pipeline, settings, database))


def changed_sinks(before: Sequence[str], present: Sequence[str]) -> tuple[list[str], list[str]]:
    """The sinks that lack what was stored before, and those that get nothing any more.

    Topics that are new lack nothing: they get what is stored from now on.
    """
    added = [name for name in present if name not in before and name in SINK_MODULES]
    return added, [name for name in before if name not in present]


def kinds_of(pipelines: Iterable[Pipeline], settings: Settings) -> dict[type[Sink], list[Sink]]:
    """The enabled sinks of pipelines, by their kind; for questions that need no MongoDB."""
    found: dict[type[Sink], list[Sink]] = {}
    with MongoClient[Document](connect=False) as client:
        database = client[settings.mongo_database]
        for sink in (s for p in pipelines for s in sinks_of(p, settings, database)):
            found.setdefault(type(sink), []).append(sink)
    return found
