"""`make status`: services, topics with lag, rows per store, dead letters, running jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from operator import attrgetter

from errors import MillraceError, SinkUnavailable
from local_stack import stack
from local_stack.log_lines import why_it_ended
from local_stack.service import ServiceState
from operations.activity import showing
from operations.overview.collect import collect
from operations.overview.model import Overview, PartitionView
from operations.tables import print_table
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.run.locks import running_job
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import sinks_of

# Offsets and the ledger are theirs.
NEEDED_SERVICES = frozenset({"kafka", "mongodb"})


def show_status(settings: Settings) -> int:
    """Print the present state; returns 1 if a service is down or does not answer."""
    with showing("status: asks the services"):
        states = stack.asked_states(settings)
    print_table(
        f"Services (STACK={settings.stack})",
        ("service", "state", "pid", "address", "version"),
        [
            (state.name, state.condition, state.pid, state.address, state.version)
            for state in states
        ],
    )
    logs = {str(state.log_path.parent) for state in states if state.log_path}
    sys.stdout.write(
        "".join(f"Logs: {folder} (`make logs SERVICE=kafka` follows one)\n" for folder in logs)
    )
    _print_jobs(settings)
    up = {state.name for state in states if state.condition == "up"}
    silent = {state.name: state.condition for state in states if state.silence}
    faults: list[str] = []
    if NEEDED_SERVICES <= up:
        with showing("status: asks for offsets and the ledger"):
            seen = collect(settings, states=states)
        _print_topics(seen)
        if proof := seen.proof:
            words = "verified" if proof.verified else "NOT verified"
            sys.stdout.write(f"Last `make verify`, {proof.ended_at:%Y-%m-%d %H:%M:%SZ}: {words}\n")
        faults += seen.troubles or _missing_topics(seen)
        try:
            _print_stores(settings, silent)
        except MillraceError as error:
            faults.append(str(error))
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    print_notes(states)
    _print_missing(states, settings.stack)
    return 0 if len(up) == len(states) and not faults else 1


def print_notes(states: list[ServiceState]) -> None:
    """Notes about services; for one that died, also the errors at the end of its log."""
    for state in states:
        if state.note:
            sys.stdout.write(f"{state.name}: {state.note}\n")
            if state.pid is None and state.log_path:
                sys.stdout.write(f"{why_it_ended(state.log_path)}\n")


def _print_missing(states: list[ServiceState], stack: str) -> None:
    down = [state.name for state in states if state.condition == "down"]
    remedy = {
        "embedded": "`make up` starts what is missing.",
        "docker": "`STACK=docker make up` starts what is missing.",
        "external": "Millrace does not start them; see `make doctor`.",
    }[stack]
    if down:
        sys.stdout.write(f"Not up: {', '.join(down)}. {remedy}\n")


def _print_jobs(settings: Settings) -> None:
    rows = []
    for pipeline in (part for whole in pipelines_of(settings) for part in whole.parts()):
        job = running_job(pipeline, settings)
        if job:
            rows.append((pipeline.name, "running", job["pid"], job["ui"]))
        elif pipeline.name == pipeline.family:
            rows.append((pipeline.name, "not running", None, None))
    print_table("Jobs", ("pipeline", "state", "pid", "Spark UI"), rows)


def _print_topics(seen: Overview) -> None:
    """Print what of each partition every part of a pipeline has confirmed."""
    found: dict[tuple[str, int], PartitionView] = {}
    for each in (each for view in seen.pipelines for each in view.partitions):
        place = (each.topic, each.partition)
        found[place] = min(found.get(place, each), each, key=attrgetter("confirmed"))
    print_table(
        "Topics",
        ("topic", "partition", "first", "end", "confirmed", "lag"),
        [(*place, p.first, p.end, p.confirmed, p.lag) for place, p in found.items()],
    )


def _missing_topics(seen: Overview) -> list[str]:
    topics = {view.topic for view in seen.pipelines if not view.partitions}
    return [f"There is no topic `{topic}`. `make up` creates it." for topic in sorted(topics)]


def _print_stores(settings: Settings, silent: Mapping[str, str]) -> None:
    """Print what each store holds, except those that are known not to answer.

    Raises:
        SinkUnavailable: some stores do not answer; the others are printed.
    """
    found: dict[str, dict[str, int | None]] = {}
    notes: list[str] = []
    faults: dict[str, str] = {}
    with connect_mongodb(settings) as client:
        database = confirmed_database(client, settings)
        pipelines = pipelines_of(settings)
        for sink in (s for each in pipelines for s in sinks_of(each, settings, database)):
            if sink.store in faults:
                continue
            if sink.name in silent:
                faults[sink.store] = f"{sink.store} is {silent[sink.name]}: not counted."
                continue
            try:
                found.setdefault(sink.store, {}).update(sink.count())
                notes += sink.notes()
            except MillraceError as error:
                faults[sink.store] = str(error)
        for topic in (pipeline.topic(settings) for pipeline in pipelines):
            number = database[SUMMARIES].count_documents({"source_topic": topic})
            found.setdefault("dead letters", {})[dead_letter_topic(topic)] = number
    rows = [(store, place, n) for store, places in found.items() for place, n in places.items()]
    print_table("Stores", ("store", "where", "rows or documents"), rows)
    if any(number is None for *_, number in rows):
        notes.append("Rows of files on HDFS and S3 are counted by `make verify`, with Spark")
    sys.stdout.write("".join(f"{note}.\n" for note in notes))
    if faults:
        raise SinkUnavailable("\n".join(faults.values()))
