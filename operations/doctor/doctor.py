"""`make doctor`: checks everything around the pipelines within seconds and changes nothing.

A job's start compares its pipeline with checkpoint and ledger (`spark_jobs/start_checks`);
the doctor looks at the machine, the services and what they should hold.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from errors import MillraceError
from local_stack import stack
from operations.activity import showing
from operations.doctor.broker_checks import look_at_kafka
from operations.doctor.check import Check, Line, Look, Status, run_checks
from operations.doctor.machine_checks import (
    look_at_clock,
    look_at_docker,
    look_at_key,
    look_at_ports,
    look_at_state,
)
from operations.doctor.place_checks import (
    look_at_master,
    look_at_output,
    look_at_source,
    source_files,
)
from operations.doctor.store_checks import (
    look_at_cassandra,
    look_at_mongodb,
    look_at_postgres,
    look_at_sink,
)
from operations.doctor.surrounding_checks import look_at_environment, look_at_limits
from operations.doctor.version_checks import look_at_java, look_at_python, look_at_versions
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.base import Sink
from spark_jobs.sinks.cassandra import CassandraSink
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.sinks.mongodb import MongoAggregates
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.sinks.registry import kinds_of
from spark_jobs.sinks.topics import TopicsSink

# In the order in which their lines are printed.
CHECKS: Final = (
    Check(("python", "packages"), look_at_python),
    Check(("java",), look_at_java),
    Check(("versions",), look_at_versions),
    Check(("environment",), look_at_environment),
    Check(("limits",), look_at_limits),
    Check(("disk",), look_at_state),
    Check(("clock",), look_at_clock),
    Check(("key",), look_at_key),
    Check(("ports",), look_at_ports),
    Check(("docker",), look_at_docker),
    Check(("spark",), look_at_master),
    Check(("kafka", "topics"), look_at_kafka),
    Check(("cassandra", "tables"), look_at_cassandra),
    Check(("mongodb", "collections"), look_at_mongodb),
    Check(("postgres", "sql tables"), look_at_postgres),
    Check(("output",), look_at_output),
    Check(("source",), look_at_source),
)

# Sinks whose store has its own check here, made if the sink is enabled.
LOOKS: Final[Mapping[type[Sink], Look]] = {
    CassandraSink: look_at_cassandra,
    PostgresSink: look_at_postgres,
    FilesSink: look_at_output,
}
# MongoDB is always checked, as it holds the ledger; topics are checked with Kafka.
CHECKED: Final = (*LOOKS, MongoAggregates, TopicsSink)

# What a start can neither create nor fix.
BEFORE_A_START: Final = (look_at_state, look_at_master, look_at_output, look_at_source)
ENDPOINTS: Final = (look_at_kafka, look_at_cassandra, look_at_mongodb, look_at_postgres)


def checks_for(settings: Settings) -> list[Check]:
    """The checks that apply to these settings; a sink without one here brings its own `check`."""
    enabled = kinds_of(pipelines_of(settings), settings)
    wanted: dict[Look, bool] = {
        look_at_ports: settings.stack == "embedded",
        look_at_docker: settings.stack == "docker",
        look_at_master: settings.spark_master.startswith(("spark://", "yarn")),
        look_at_source: bool(source_files(settings)),
    } | {look: kind in enabled for kind, look in LOOKS.items()}
    others = [
        Check((kind.name,), partial(look_at_sink, kind)) for kind in enabled if kind not in CHECKED
    ]
    return [check for check in CHECKS if wanted.get(check.look, True)] + others


def doctor(settings: Settings) -> int:
    """Print a line for each check; returns 0 only if all are ok."""
    with showing("doctor: makes its checks"):
        lines = run_checks(checks_for(settings), settings)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{verdict(lines)}\n")
    return 0 if all(line.status is Status.OK for line in lines) else 1


def verdict(lines: Sequence[Line]) -> str:
    """The last line."""
    to_fix = sum(line.status is Status.FIX for line in lines)
    if not to_fix:
        return f"doctor: {len(lines)} checks ok"
    return f"doctor: {to_fix} of {len(lines)} checks need a fix"


def refuse_hindered(settings: Settings) -> None:
    """Refuse a run that would fail, before anything is started.

    Raises:
        MillraceError: lists everything that stands in the way, each with the fix.
    """
    stack.check_start(settings)
    looks = BEFORE_A_START + (ENDPOINTS if settings.stack == "external" else ())
    needed = [check for check in checks_for(settings) if check.look in looks]
    # Only the endpoint itself must be right: the start creates topics and tables.
    firsts = {check.names[0] for check in needed}
    lines = [line for line in run_checks(needed, settings) if line.name in firsts]
    if wrong := [line for line in lines if line.status is Status.FIX and not line.by_itself]:
        listed = "".join(f"  - {line.name}: {line.text}\n" for line in wrong)
        raise MillraceError(f"The run cannot start yet:\n{listed}Nothing was started.")


def summary_of_checks(settings: Settings) -> list[str]:
    """What `make run` says before it starts anything."""
    return short_report(run_checks(checks_for(settings), settings))


def short_report(lines: Sequence[Line]) -> list[str]:
    """The lines that a run does not fix itself, or one line if there are none."""
    wrong = [line for line in lines if line.status is Status.FIX and not line.by_itself]
    if wrong:
        return [f"doctor: {line}" for line in wrong]
    ok = sum(line.status is Status.OK for line in lines)
    later = len(lines) - ok
    rest = f"; {later} more concern what this run starts or creates" if later else ""
    return [f"doctor: {ok} checks ok{rest}"]
