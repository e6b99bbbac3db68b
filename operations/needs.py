"""Checks that the services a command needs are up, before Spark starts or a driver waits."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from errors import MillraceError
from settings import Settings

Needs = Callable[[Settings, Namespace], Iterable[str]]
FEEDS: Final = ("kafka", "mongodb")


def require_services(settings: Settings, options: Namespace) -> None:
    """Check that the services that a command uses are up.

    Raises:
        MillraceError: names those that are not, and how to start them.
    """
    needs = NEEDS.get(options.command.__name__)
    if needs is None:
        return
    # These load drivers, which `millrace logs` does not need.
    from operations.doctor import endpoints

    names = {*needs(settings, options)}
    asked = [each for each in endpoints.all_of(settings) if each.service in names]
    with ThreadPoolExecutor(max(len(asked), 1)) as pool:
        faults = list(pool.map(lambda endpoint: endpoints.absence(endpoint, settings), asked))
    away = [f"{of.service}: {fault.text}" for of, fault in zip(asked, faults, strict=True) if fault]
    if away:
        raise MillraceError("Not up, so nothing was done:\n" + "\n".join(f"  - {a}" for a in away))


def _emptied(settings: Settings, options: Namespace) -> Iterable[str]:
    return (*FEEDS, *(name for name in settings.sinks if name not in options.leave))


def _shown(settings: Settings, options: Namespace) -> Iterable[str]:
    """The store of a name that `show` takes; none for files and unknown names."""
    from runtime.config.sink_modules import SINK_MODULES
    from runtime.config.topic_names import DEAD_LETTER_SUFFIX
    from spark_jobs.registry import pipelines_of

    store, _, name = options.what.rpartition(".")
    pipelines = pipelines_of(settings)
    topics = {name for p in pipelines for name in p.all_topics(settings)}
    if options.what.removesuffix(DEAD_LETTER_SUFFIX) in topics | {"dead-letters"}:
        return ("kafka",)
    if store in SINK_MODULES:
        return (store,)
    if any(name == table.name for p in pipelines for table in p.tables):
        return ("cassandra",)
    return ("mongodb",) if any(name in p.collections for p in pipelines) else ()


NEEDS: Final[dict[str, Needs]] = {
    # A sink that is down is one of its findings.
    "verify": lambda settings, options: FEEDS,
    "reset": _emptied,
    "show": _shown,
    "dead_letters": lambda settings, options: ("kafka",),
    "replay": lambda settings, options: (*FEEDS, options.sink),
    "rebuild": lambda settings, options: (*FEEDS, "cassandra"),
    "compact": lambda settings, options: ("mongodb",),
    "cqlsh": lambda settings, options: ("cassandra",),
    "mongosh": lambda settings, options: ("mongodb",),
}
