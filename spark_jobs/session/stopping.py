"""Signals that ask a job to end, and the end of its JVM."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen, TimeoutExpired
from threading import Thread
from types import FrameType
from typing import Any

import psutil
from py4j.protocol import Py4JError
from pyspark import SparkContext, StatusTracker
from pyspark.sql import SparkSession

from runtime.interrupts import restore_terminal
from runtime.processes import executors_of, kill

# The JVM, if spark-submit started this process.
PARENT = os.getppid()
POLL_SECONDS = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SPARK_STOP_SECONDS, STAGE_END_SECONDS, EXECUTOR_END_SECONDS = 10, 1, 10


class StopRequest:
    """True once a stop was requested.

    A plain flag, because a signal handler must not take a lock that the interrupted code may hold,
    as `threading.Event.set` does.
    """

    def __init__(self) -> None:
        self._asked = False
        self._by: int | None = None

    def __bool__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Request a stop."""
        self._asked = True

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C; otherwise 0, as the job ended when asked to."""
        return 128 + signal.SIGINT if self._by == signal.SIGINT else 0

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """Let signals request a clean end within the block; restores their handlers after it."""
        before = [(number, signal.getsignal(number)) for number in SIGNALS]
        self.on_signals()
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def on_signals(self) -> None:
        """Let Ctrl-C, SIGTERM and SIGHUP request a clean end; a second one ends at once.

        Call it again after a SparkSession was built, as PySpark sets its own handler.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            if self:
                restore_terminal()
                # Ending at any moment is safe, as the unfinished batch is repeated.
                os.write(2, b"ended at once; the unfinished batch will be repeated\n")
                kill_jvm()
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self._by = number
            self.ask()

        for number in SIGNALS:
            signal.signal(number, handle)


def stop_spark(spark: SparkSession) -> None:
    """Stop the session; kill its JVM if that takes too long, as with a hanging writer.

    Executors that are its children (`local-cluster`) end with it. One whose exit waits for RocksDB,
    see below, would outlive the JVM that started it.
    """
    executors = executors_of(psutil.Process())
    if not jvm_is_gone():
        thread = Thread(target=_stop, args=(spark,), daemon=True)
        thread.start()
        thread.join(SPARK_STOP_SECONDS)
        if thread.is_alive():
            kill_jvm()
    for each in psutil.wait_procs(executors, EXECUTOR_END_SECONDS)[1]:
        kill(each)


def _stop(spark: SparkSession) -> None:
    # Where RocksDB's stores are open, a thread that ends and the JVM's exit may wait for each other
    # forever. A task that hangs holds its store, so closing that would wait for it.
    with suppress(Py4JError):  # where Spark has ended by itself
        if _has_no_tasks(spark.sparkContext.statusTracker()):
            jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
            states = jvm.org.apache.spark.sql.execution.streaming.state
            getattr(getattr(states, "StateStore$"), "MODULE$").unloadAll()
    spark.stop()


def _has_no_tasks(tracker: StatusTracker) -> bool:
    # Spark learns of a stage's end a little later.
    deadline = time.monotonic() + STAGE_END_SECONDS
    while tracker.getActiveStageIds() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return not tracker.getActiveStageIds()


def jvm_is_gone(within_seconds: float = 0) -> bool:
    """Whether this process's JVM has ended, or ends within the given time.

    Its connections break before the process is gone, as the system frees its memory first.
    """
    process = jvm_process()
    if process is None:
        return under_spark_submit() and _parent_ends(within_seconds)
    with suppress(TimeoutExpired):
        process.wait(within_seconds)
    return process.poll() is not None


def under_spark_submit() -> bool:
    """Whether spark-submit started the driver's JVM before this code."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _parent_ends(within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while os.getppid() == PARENT and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return os.getppid() != PARENT


def kill_jvm() -> None:
    """Kill the JVM that this process started, and its executors.

    Under spark-submit the JVM started this process and ends after it.
    """
    process = jvm_process()
    if process is None or process.poll() is not None:
        return
    with suppress(psutil.NoSuchProcess):
        jvm = psutil.Process(process.pid)
        for each in [*jvm.children(recursive=True), jvm]:
            kill(each)


def jvm_process() -> Popen[Any] | None:
    """The driver's JVM, if this process has started one."""
    gateway = SparkContext._gateway  # noqa: SLF001 - PySpark has no public API
    return getattr(gateway, "proc", None)
