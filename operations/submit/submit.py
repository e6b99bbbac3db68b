"""`millrace submit`: runs a pipeline's job on a Spark cluster."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import FrameType

import psutil

from errors import JobError
from operations.producing import end_with_parent
from operations.shipping import code_archive
from operations.submit.kubernetes import kubernetes_submission
from operations.submit.submission import (
    KUBERNETES,
    Submission,
    check,
    job_file,
    notes,
    shown_settings,
    submission,
    whole_environment,
)
from runtime import remedies
from runtime.jars import ensure_jars
from runtime.java import find_java
from runtime.processes import kill_family
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipeline_named
from spark_jobs.run.job_options import job_args, settings_of
from spark_jobs.session.masters import refuse_unreachable
from spark_jobs.session.stopping import SIGNALS

OPTION_DASHES = "--"
# The driver runs here, executors in pods that it asks Kubernetes for.
IN_THIS_POD = "spark.submit.deployMode=client"


def submit(options: argparse.Namespace) -> int:
    """Submit a job and wait for its end; returns its exit code.

    Raises:
        JobError: it cannot be submitted; says what is wrong.
    """
    settings = settings_of(options)
    check(settings, options.conf)
    in_pods = settings.spark_master.startswith(KUBERNETES) and IN_THIS_POD not in options.conf
    build = kubernetes_submission if in_pods else submission
    pipeline = pipeline_named(options.pipeline, settings)
    found = build(settings, pipeline, job_args(options), options.conf)
    if options.dry_run:
        sys.stdout.write(shown(found, () if in_pods else shown_settings(settings)) + "\n")
    for note in notes(settings, in_pods):
        _say(f"note: {note}")
    if options.dry_run:
        return 0
    if in_pods:
        raise JobError(
            "Millrace does not start jobs on Kubernetes from outside."
            f" `{remedies.again('--dry-run', settings)}` prints a command that does;"
            " docs/kubernetes.md has manifests whose pods are drivers themselves, with"
            f" `--conf {IN_THIS_POD}`."
        )
    refuse_unreachable(settings)
    return _run(found, settings, pipeline)


def shown(found: Submission, settings: Iterable[tuple[str, str]]) -> str:
    """The command with its environment, as shell text; secrets are masked."""
    variables = dict(settings) | found.environment
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return " \\\n  ".join([*lines, *_lines_of(found.words)])


def _lines_of(words: Sequence[str]) -> list[str]:
    """Words of a command, an option and its value on one line."""
    lines: list[str] = []
    for word in words:
        after_option = lines and lines[-1].startswith(OPTION_DASHES) and " " not in lines[-1]
        if after_option and not word.startswith(OPTION_DASHES):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return lines


def _run(found: Submission, settings: Settings, pipeline: Pipeline) -> int:
    java = find_java(settings, _say)
    ensure_jars(settings, ["spark"], _say, java)
    code_archive(settings.millrace_home)
    process = subprocess.Popen(
        found.words,
        env=whole_environment(found, java),
        stdin=subprocess.DEVNULL,
        # Ctrl-C goes to the terminal's whole process group and would end the JVM before the driver.
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    _forward_signals(process, str(job_file(pipeline)))
    code = process.wait()
    return code if code >= 0 else 128 - code


def _forward_signals(process: subprocess.Popen[bytes], job: str) -> None:
    """End the job as without spark-submit: cleanly, or at once on a second signal."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        # Set first: the next signal may arrive while this one is forwarded.
        is_second, asked = asked, True
        with suppress(psutil.NoSuchProcess):
            submitter = psutil.Process(process.pid)
            drivers = [child for child in submitter.children() if _runs(child, job)]
            if is_second or not drivers:
                kill_family(submitter)
            for driver in drivers:
                driver.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, handle)


def _runs(process: psutil.Process, job: str) -> bool:
    """Whether a process is the driver; the JVM has other, short-lived children."""
    try:
        return job in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
