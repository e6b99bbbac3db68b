"""Java's archive of the classes that a driver loads, which makes a driver start a quarter sooner.

Java keeps classes parsed and verified in a file (application class-data sharing), which fits one
Java and one class path. The first job with messages that ends by itself writes it when its JVM
ends; later drivers on this machine read it. A missing or unsuitable archive costs only the time it
would have saved; a damaged one ends the JVM, and the driver starts once more without it.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

import psutil
import pyspark

from runtime.java import Java
from settings import Settings
from spark_jobs.session.stopping import POLL_SECONDS, StopRequest, jvm_process, kill_jvm

PREFIX: Final = "classes-"
SUFFIX: Final = ".jsa"
WRITING: Final = "-XX:ArchiveClassesAtExit="
READING: Final = "-XX:SharedArchiveFile="
# Otherwise Java prints why it runs without an archive, which needs no action.
QUIET: Final = "-Xlog:cds=off,cds+dynamic=off,class+path=off"
# An archive takes 190 MB.
LEAST_FREE_BYTES: Final = 1_000_000_000
# Enough to switch between two versions of Java.
KEPT: Final = 2
WRITE_TIMEOUT_SECONDS: Final = 120
# These put folders into the class path, and Java archives only classes from jars.
FOLDERS: Final = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")


def archive_options(
    settings: Settings, java: Java, jars: Sequence[Path], *, may_write: bool
) -> list[str]:
    """JVM options with which a driver reads the archive, or writes one if it may.

    Args:
        settings: JARS_PATH is the folder of the archives.
        java: The Java that will be started.
        jars: The jars in the class path after Spark's own.
        may_write: Whether `keep_archive` will be called when the driver's work is done.
    """
    if settings.hadoop_conf_dir or any(os.environ.get(name) for name in FOLDERS):
        return []
    path = settings.jars / f"{PREFIX}{_fingerprint(java, jars)}{SUFFIX}"
    if path.exists():
        # Marks the archive as used, so that it is not removed as old.
        with suppress(OSError):
            path.touch()
        return [f"{READING}{path}", QUIET]
    if not may_write or not _has_room(settings.jars):
        return []
    _remove_leftovers(settings.jars)
    atexit.register(_drop_archive)
    return [f"{WRITING}{path.with_suffix(f'.{os.getpid()}')}", QUIET]


def archive_read(options: Sequence[str]) -> Path | None:
    """The archive that a driver with these JVM options reads, if any."""
    return _path_of(READING, options)


def archive_written(options: Sequence[str]) -> Path | None:
    """The archive that a driver with these JVM options writes, under the name of its process."""
    return _path_of(WRITING, options)


def _path_of(option: str, options: Sequence[str]) -> Path | None:
    paths = [Path(each.removeprefix(option)) for each in options if each.startswith(option)]
    return paths[0] if paths else None


def keep_archive(stop: StopRequest, report: Callable[[str], object]) -> bool:
    """Let this process's JVM end, and wait for the archive if it writes one.

    It takes about 10 seconds of one processor. A stop request or an error leaves no archive.
    Returns whether one was written.
    """
    jvm = jvm_process()
    partial = _partial(jvm)
    if jvm is None or partial is None:
        return False
    try:
        if not stop:
            report("java: archiving its classes, so that jobs start sooner from now on (once)")
        if jvm.stdin:
            jvm.stdin.close()  # Spark's gateway ends at the end of its input
        if not _ended(jvm, stop):
            kill_jvm()
        elif jvm.returncode == 0 and partial.exists():
            partial.replace(partial.with_suffix(SUFFIX))
            _keep_newest(partial.parent)
            return True
    except OSError:
        pass
    finally:
        with suppress(OSError):
            partial.unlink()
    return False


def _drop_archive() -> None:
    """If this process ends without `keep_archive`, keep its JVM from writing the archive alone."""
    jvm = jvm_process()
    partial = _partial(jvm)
    if jvm is not None and partial is not None:
        kill_jvm()
        jvm.wait()
        partial.unlink(missing_ok=True)


def _ended(jvm: Popen[Any], stop: StopRequest) -> bool:
    deadline = time.monotonic() + WRITE_TIMEOUT_SECONDS
    while jvm.poll() is None and not stop and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return jvm.poll() is not None


def _fingerprint(java: Java, jars: Sequence[Path]) -> str:
    """A digest that changes with everything that would make Java refuse an archive."""
    spark = Path(pyspark.__file__).parent / "jars"
    parts = [str(java.executable.resolve()), *java.options]
    for path in [java.executable.resolve(), spark, *sorted(spark.glob("*.jar")), *jars]:
        state = path.stat()
        size = state.st_size if path.is_file() else 0
        parts.append(f"{path} {size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _partial(jvm: Popen[Any] | None) -> Path | None:
    """The archive that the JVM writes, according to its command line; None if it writes none."""
    if jvm is None or jvm.poll() is not None:
        return None
    try:
        return archive_written(psutil.Process(jvm.pid).cmdline())
    except psutil.Error:
        return None


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > LEAST_FREE_BYTES


def _remove_leftovers(folder: Path) -> None:
    """Remove the partial archives of killed processes."""
    for partial in folder.glob(f"{PREFIX}*.[0-9]*"):
        if not psutil.pid_exists(int(partial.suffix[1:])):
            with suppress(OSError):
                partial.unlink()


def _keep_newest(folder: Path) -> None:
    archives = sorted(folder.glob(f"{PREFIX}*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for archive in archives[:-KEPT]:
        archive.unlink()
