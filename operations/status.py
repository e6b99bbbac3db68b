"""`make status`: services, topics with lag, rows per store, dead letters, running jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from pymongo.database import Database

from errors import MillraceError, SinkUnavailable
from local_stack import stack
from local_stack.log_lines import why_it_ended
from local_stack.service import ServiceState
from operations.pipelines import present_parts, topic_offsets
from operations.tables import print_table
from runtime.config.topic_names import dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.run.locks import running_job
from spark_jobs.sinks.dead_letters import COLLECTION as SUMMARIES
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.sinks.registry import sinks_of
from spark_jobs.state.ledger import Document, Ledger

# Offsets and the ledger are theirs.
NEEDED_SERVICES = frozenset({"kafka", "mongodb"})


def show_status(settings: Settings) -> int:
    """Print the present state; returns 1 if a service is down or does not answer."""
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
    faults = [
        fault
        for part in (_print_topics, partial(_print_stores, silent=silent))
        if NEEDED_SERVICES <= up and (fault := _attempt(part, settings))
    ]
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    print_notes(states)
    _print_missing(states, settings.stack)
    return 0 if len(up) == len(states) and not faults else 1


def _attempt(part: Any, settings: Settings) -> str | None:
    try:
        part(settings)
    except MillraceError as error:
        return str(error)
    return None


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


def _print_topics(settings: Settings) -> None:
    rows = []
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        for pipeline in pipelines_of(settings):
            topic = pipeline.topic(settings)
            read = _read_by_all(pipeline, database)
            for partition, (low, high) in sorted(topic_offsets(settings, topic).items()):
                done = max(read.get(partition, low), low)
                rows.append((topic, partition, low, high, done, high - done))
    columns = ("topic", "partition", "first", "end", "confirmed", "lag")
    print_table("Topics", columns, rows)


def _read_by_all(pipeline: Pipeline, database: Database[Document]) -> dict[int, int]:
    """Partition -> the offset up to which every part of a pipeline has read."""
    ends = [
        {p: end for p, (_, end) in last.offsets.items()}
        for part in present_parts(pipeline, database)
        if (last := Ledger(database, part.name).last())
    ]
    return {p: min(end.get(p, 0) for end in ends) for p in {p for end in ends for p in end}}


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
