"""Which part of a pipeline a replay repairs: a job of some sinks has a ledger of its own."""

from __future__ import annotations

from dataclasses import replace

from pymongo.database import Database

from errors import JobError
from operations.repair.range import ReplayRequest
from runtime import remedies
from runtime.config.sink_modules import LEDGER_SINK, SINK_MODULES
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.start_checks.sink_ownership import as_claimed, feeders
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Document, Ledger

Fed = dict[str, frozenset[str]]
"""Name of a part that has run -> the sinks that it feeds."""


def of_part(
    settings: Settings, database: Database[Document], request: ReplayRequest
) -> tuple[Settings, ReplayRequest]:
    """The request for the part whose job feeds the sink, and the settings with that part's sinks.

    The ledgers of several parts are distinguished by `SINKS`.

    Raises:
        JobError: no job that has run feeds the sink, or several ledgers could be meant.
        SinkError: MongoDB did not answer.
    """
    whole = request.pipeline
    if not whole.separable or not (fed := _fed(whole, settings, database)):
        return settings, request
    if not request.of_ledger:
        names = [name for name, sinks in fed.items() if request.sink in sinks]
    elif len(fed) == 1:
        names = [*fed]
    else:
        wanted = {*settings.sinks} & {*whole.separable}
        names = [name for name, sinks in fed.items() if sinks & {*whole.separable} == wanted]
    if not names:
        raise JobError(_refusal(settings, request, fed))
    part = next(part for part in whole.parts() if part.name == names[-1])
    narrowed = settings.model_copy(update={"sinks": _in_order(settings, fed[part.name])})
    return narrowed, replace(request, pipeline=as_claimed(part, database))


def _fed(whole: Pipeline, settings: Settings, database: Database[Document]) -> Fed:
    """The parts that have run; the whole pipeline feeds of `SINKS` what no other job does."""
    claims = feeders(whole, database)
    found: Fed = {}
    for part in reversed(whole.parts()):
        last, checkpoint = Ledger(database, part.name).last(), checkpoint_of(settings, part.name)
        if last is None and not (checkpoint.can_be_reached and checkpoint.query_id()):
            continue
        if part.name == whole.name:
            others = {sink for each in found.values() for sink in each}
            sinks = {*settings.sinks} - (others & {*whole.separable})
        else:
            # Without a ledger, its name lists them.
            sinks = {*(last.sinks if last else part.name.split("-")[1:])}
        found[part.name] = frozenset(s for s in sinks if claims.get(s, part.name) == part.name)
    return found


def _in_order(settings: Settings, sinks: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys((*settings.sinks, *SINK_MODULES)) if name in sinks)


def _refusal(settings: Settings, request: ReplayRequest, fed: Fed) -> str:
    whole, sink = request.pipeline, request.sink
    jobs = ", ".join(f"`{name}` ({', '.join(sorted(sinks))})" for name, sinks in fed.items())
    if request.of_ledger:
        commands = (
            remedies.replay(
                whole.topic(settings),
                LEDGER_SINK,
                settings.model_copy(update={"sinks": _in_order(settings, sinks)}),
            )
            for sinks in fed.values()
        )
        return (
            f"Pipeline {whole.name}: jobs with ledgers of their own feed its sinks: {jobs}. SINKS"
            " says which ledger is meant, and it names the sinks of none of them. Nothing was"
            f" replayed. Choose: {', '.join(f'`{command}`' for command in commands)}."
        )
    start = remedies.job(whole.name, None, "--sinks", sink)
    return (
        f"Pipeline {whole.name}: no job that has run feeds {sink}: {jobs}. Nothing was replayed."
        + (
            f" Start one, which reads the whole topic: `{start}`."
            if sink in whole.separable
            else ""
        )
    )
