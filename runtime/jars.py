"""Downloads the pinned jars in parallel with the Ivy that PySpark includes, without Maven.

Jars go through the ordinary Ivy cache (`~/.ivy2`), which Spark's own `--packages` uses too, to
`JARS_PATH/<group>/`. The resolver has the name that Spark gives it, so that a session with
`spark.jars.packages` finds everything in the cache and needs no network.

`python -m runtime.jars spark s3` downloads groups in advance, for an image or a machine without
network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

import pyspark

from errors import MillraceError, StackError
from runtime.files import exclusive, write_whole
from runtime.java import Java, find_java
from runtime.surroundings import for_java, service_environment, share, users_umask
from runtime.versions import pinned
from settings import Settings, load_settings

STAMP_NAME: Final = "coordinates.txt"
PROGRESS_SECONDS: Final = 10
FAILURE_LINES: Final = 15
# Groups for which pyproject.toml excludes modules.
PRUNED: Final = ("s3",)

Report = Callable[[str], object]

# Cache locks let two checkouts resolve at once. A Maven-compatible `ibiblio` resolver with no root
# is Maven Central.
IVY_SETTINGS: Final = """<ivysettings>
  <settings defaultResolver="spark-list"/>
  <caches lockStrategy="artifact-lock-nio"/>
  <resolvers>
    <chain name="spark-list">
      <ibiblio name="central" m2compatible="true" usepoms="true"/>
    </chain>
  </resolvers>
</ivysettings>
"""


def ensure_jars(
    settings: Settings, groups: Iterable[str], report: Report = print, java: Java | None = None
) -> None:
    """Download the jars of `groups` to their folders; returns at once if they are there.

    Raises:
        StackError: a jar could not be downloaded; the text has Ivy's last lines.
    """
    missing = [group for group in groups if not is_complete(settings, group)]
    if not missing:
        return
    java = java or find_java(settings, report)
    with ThreadPoolExecutor(len(missing)) as pool:
        tasks = [pool.submit(_resolve, settings, java, group, report) for group in missing]
    for task in tasks:
        task.result()


def class_path(settings: Settings, group: str) -> str:
    """Class path of a group's jars, for `java -cp`."""
    return f"{folder(settings, group)}/*"


def folder(settings: Settings, group: str) -> Path:
    """The folder of a group's jars."""
    return settings.jars / group


def is_complete(settings: Settings, group: str) -> bool:
    """Whether all jars of the group, in the pinned versions, are in their folder."""
    try:
        lines = (folder(settings, group) / STAMP_NAME).read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    coordinates, files = lines[0], lines[1:]
    here = {path.name for path in folder(settings, group).glob("*.jar")}
    return coordinates == " ".join(pinned("jars", group)) and here >= set(files)


def main(arguments: Sequence[str]) -> int:
    """Download the named groups of jars; returns the exit code."""
    try:
        ensure_jars(load_settings(), arguments, _say)
    except MillraceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _say(text: str) -> None:
    # At once: the build of an image shows what arrives, and is no terminal.
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _lock_path(settings: Settings, group: str) -> Path:
    """The group's lock, next to the jars, which several state folders may share through a link.

    Raises:
        StackError: the folder is read-only, as in an image with jars of another version.
    """
    path = settings.jars / f".{group}.lock"
    try:
        is_new = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_new and settings.jars_path:
            share(path.parent)
        path.touch()
    except OSError as error:
        raise StackError(
            f"`{folder(settings, group)}` does not have the jars that pyproject.toml pins, and"
            f" cannot be written: {error.strerror}. If it is part of an image, build the image"
            " again; otherwise set JARS_PATH to a folder of your own."
        ) from error
    return path


def _resolve(settings: Settings, java: Java, group: str, report: Report) -> None:
    with exclusive(_lock_path(settings, group)):
        if is_complete(settings, group):
            return
        started = time.monotonic()
        report(f"jars: downloading {group}")
        partial = settings.jars / f".{group}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _run_ivy(_ivy_command(java, group, partial), partial, group, started, report)
        jars = sorted(partial.glob("*.jar"))
        names = [" ".join(pinned("jars", group)), *(jar.name for jar in jars)]
        write_whole(partial / STAMP_NAME, "\n".join(names) + "\n")
        if settings.jars_path:
            share(partial)
        shutil.rmtree(folder(settings, group), ignore_errors=True)
        partial.replace(folder(settings, group))
        size_mb = sum(jar.stat().st_size for jar in folder(settings, group).glob("*.jar")) / 1e6
        elapsed = time.monotonic() - started
        report(f"jars: {group} {len(jars)} files, {size_mb:.0f} MB, {elapsed:.0f} s")


def _ivy_command(java: Java, group: str, partial: Path) -> list[str]:
    dependencies = "\n".join(
        "    <dependency org={} name={} rev={} conf={}/>".format(
            *map(quoteattr, [*coordinate.split(":"), f"{group}->default(runtime)"])
        )
        for coordinate in pinned("jars", group)
    )
    exclusions = "\n".join(
        "    <exclude org={} module={}/>".format(*map(quoteattr, module.split(":")))
        for module in (pinned("unused", group) if group in PRUNED else ())
    )
    module = f"""<ivy-module version="2.0">
  <info organisation="millrace" module={quoteattr(group)} revision="pinned"/>
  <configurations><conf name={quoteattr(group)}/></configurations>
  <dependencies>
{dependencies}
{exclusions}
  </dependencies>
</ivy-module>
"""
    (partial / "ivy.xml").write_text(module)
    (partial / "ivysettings.xml").write_text(IVY_SETTINGS)
    pattern = "[artifact]-[revision](-[classifier]).[ext]"
    command = [str(java.executable), *java.options, "-jar", str(_ivy_jar())]
    command += ["-settings", str(partial / "ivysettings.xml"), "-ivy", str(partial / "ivy.xml")]
    # Relative to the working folder: brackets in a path would belong to the pattern.
    command += ["-confs", group, "-retrieve", pattern, "-types", "jar", "bundle"]
    return command


def _ivy_jar() -> Path:
    jars = sorted((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    if not jars:
        raise StackError(
            "PySpark is installed without its Ivy (`pyspark/jars/ivy-*.jar`), which downloads the"
            " jars. Remove `.venv` and run the command again to repair the set-up."
        )
    return jars[0]


def _run_ivy(command: list[str], partial: Path, group: str, started: float, report: Report) -> None:
    """Run Ivy and report progress now and then, as a first download takes a minute."""
    lines: list[str] = []
    done = threading.Event()

    def say_progress() -> None:
        while not done.wait(PROGRESS_SECONDS):
            found = sum(line.startswith("\tfound ") for line in lines)
            fetched = sum("[SUCCESSFUL ]" in line for line in lines)
            elapsed = time.monotonic() - started
            report(f"jars: {group} … {found} found, {fetched} downloaded, {elapsed:.0f} s")

    progress = threading.Thread(target=say_progress, daemon=True)
    progress.start()
    try:
        with subprocess.Popen(
            command,
            cwd=partial,
            env=service_environment(for_java(os.environ)),
            umask=users_umask(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None  # noqa: S101 - for the type checker: PIPE is given
            lines.extend(line.rstrip() for line in process.stdout)
    finally:
        done.set()
    if process.returncode:
        raise StackError(_failure(group, lines))


def _failure(group: str, lines: list[str]) -> str:
    last = [line for line in lines if line.strip()][-FAILURE_LINES:]
    return (
        f"The jars of `{group}` could not be downloaded from Maven Central; Ivy says:\n"
        + "\n".join(last)
        + "\nCheck that this machine reaches it (behind a proxy, set JAVA_TOOL_OPTIONS="
        '"-Dhttps.proxyHost=… -Dhttps.proxyPort=…"), then try again: downloaded files are kept.'
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
