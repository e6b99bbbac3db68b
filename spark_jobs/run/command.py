"""The command line of the jobs: options, session, run, exit code."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from errors import JobError, MillraceError
from runtime.interrupts import end_on_interrupt
from runtime.output import escape_output
from runtime.surroundings import keep_private
from settings import Settings, load_settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.run.job import RunOptions, check_pipelines, run_pipelines
from spark_jobs.run.job_options import add_job_options, settings_of
from spark_jobs.run.locks import locked
from spark_jobs.run.metrics import served_metrics
from spark_jobs.session.class_archive import keep_archive
from spark_jobs.session.session import BRIEF_RECORDS, build_session
from spark_jobs.session.stopping import StopRequest, stop_spark, under_spark_submit
from spark_jobs.sinks.driver_errors import explained
from spark_jobs.state.acceptance import accepted
from spark_jobs.state.fault_points import check_fault

EXIT_FAILED = 1
LOG_BYTES = 16 * 1024 * 1024


def main(pipelines: Sequence[Pipeline], arguments: Sequence[str] | None = None) -> int:
    """Run pipelines as a command; returns the exit code."""
    return run_with(pipelines, _parser(_name_of(pipelines)).parse_args(arguments))


def run_with(pipelines: Sequence[Pipeline], options: argparse.Namespace) -> int:
    """Run pipelines with options of `add_job_options`; returns the exit code."""
    keep_private()
    escape_output()
    name = _name_of(pipelines)
    settings: Settings | None = None
    try:
        check_fault()
        settings = settings_of(options)
        start_logging(settings)
        if under_spark_submit() and (options.master or options.memory):
            raise JobError(
                "Under spark-submit the driver is already running: give `--master` and"
                " `--driver-memory` to spark-submit, before the file."
            )
        parts = [_part(p.divided(settings), settings, options.sinks) for p in pipelines]
        return _run(parts, settings, options, name)
    except MillraceError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    except Exception as error:
        known = explained(error, settings)
        if known is None:
            raise
        sys.stderr.write(f"{known}\n")
        return EXIT_FAILED


def _name_of(pipelines: Sequence[Pipeline]) -> str:
    return "-".join(pipeline.name for pipeline in pipelines)


def _part(pipeline: Pipeline, settings: Settings, sinks: str | None) -> Pipeline:
    """The pipeline, or the part of it that feeds only the sinks of `--sinks`.

    Raises:
        JobError: the pipeline writes to none of them.
    """
    if not pipeline.separable or sinks is None:
        return pipeline
    own = set(settings.sinks) & {*pipeline.separable}
    if not own:
        raise JobError(
            f"--sinks: pipeline {pipeline.name} does not write to `{sinks}`, only to"
            f" {', '.join(pipeline.separable)}."
        )
    usual = set(load_settings().sinks) & {*pipeline.separable}
    return pipeline if own == usual else pipeline.feeding(settings.sinks)


def start_logging(settings: Settings, *, to_terminal: bool = True) -> None:
    """Log to `logs/jobs.log`, which all jobs share, and optionally to standard error."""
    path = settings.millrace_home / "logs" / "jobs.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8")
    ]
    if to_terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(
        level=settings.log_level,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=handlers,
        force=True,
    )
    # These libraries log what they send and receive, which is records; Py4J does so with every
    # error, which this project's own errors report without the records.
    for chatty, level in (
        ("py4j", logging.CRITICAL),
        ("pymongo", logging.WARNING),
        ("cassandra", logging.WARNING),
    ):
        logging.getLogger(chatty).setLevel(level)
    for handler in handlers:
        handler.addFilter(_is_not_py4j)


def _is_not_py4j(record: logging.LogRecord) -> bool:
    # Once the JVM is gone, Py4J writes tracebacks to the root logger, so muting by name fails.
    return "py4j" not in Path(record.pathname).parts


def _run(
    pipelines: Sequence[Pipeline], settings: Settings, options: argparse.Namespace, name: str
) -> int:
    stop = StopRequest()
    stop.on_signals()
    # Until the queries run, nothing needs a clean end.
    end_on_interrupt("interrupted before the job began; nothing was changed")
    with locked(pipelines, settings) as note_ui, served_metrics(settings) as watchers:
        # Before the JVM starts, so that a missing service or a ledger that does not fit shows at
        # once.
        run_options = RunOptions(options.available_now, options.starting_offsets, accepted(options))
        diagnoses = check_pipelines(pipelines, settings, run_options)
        if stop:
            return stop.exit_code
        ends = options.available_now
        is_brief = ends and are_few([each.unread for each in diagnoses.values()])
        # A job that ends by itself may take longer to do so. One without a message loads too few
        # classes for an archive that others read.
        may_archive = ends and any(each.unread != 0 for each in diagnoses.values())
        spark = build_session(
            settings, name, is_brief=is_brief, may_archive=may_archive, has_ui=not ends
        )
        stop.on_signals()
        try:
            note_ui(spark.sparkContext.uiWebUrl)
            run_pipelines(
                spark, pipelines, settings, run_options, stop, say=_say, watchers=watchers
            )
        finally:
            stop_spark(spark)
    keep_archive(stop, _say)
    if stop.exit_code:
        _say("ended by Ctrl-C; the next start continues from there")
    return stop.exit_code


def are_few(counts: Sequence[int | None]) -> bool:
    """Whether all numbers are known, and too few for optimised compilation to pay."""
    known = [count for count in counts if count is not None]
    return len(known) == len(counts) and sum(known) <= BRIEF_RECORDS


def _say(text: str) -> None:
    logging.getLogger(__name__).info(text)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m spark_jobs.{name}",
        description=f"Process the topic of {name}. Settings come from the environment and `.env`;"
        " options take precedence.",
    )
    add_job_options(parser)
    return parser
