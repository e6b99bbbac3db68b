"""Checks of what this process inherits: variables, locale, limits, foreign configuration.

Only names of variables are shown, as a value may hold a password.
"""

from __future__ import annotations

import locale
import os
import resource
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from errors import JobError
from operations.doctor.check import Fault, Line, Status, line_of
from runtime.java import PROBE_TIMEOUT_SECONDS, installed_java
from runtime.surroundings import (
    LAST_JAVA_OPTIONS,
    LOCALE,
    SHADOWS,
    conf_folder,
    for_java,
    is_launcher_variable,
    service_environment,
    too_few_open_files,
)
from settings import Settings
from spark_jobs.session.defaults import properties
from spark_jobs.session.foreign_conf import foreign_keys
from spark_jobs.session.spark_home import spark_home

NAME: Final = "environment"
JAVA_VARIABLES: Final = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", LAST_JAVA_OPTIONS)
LOCALE_VARIABLES: Final = ("LC_ALL", "LC_CTYPE", "LANG")
DEFAULT_FILES: Final = ("fs.defaultFS", "fs.default.name")
# Languages whose letters, digits and dates match those that services and Spark run in.
USUAL_LANGUAGES: Final = ("C", "POSIX", "en")


def look_at_environment(settings: Settings) -> list[Line]:
    """A line for each inherited setting, with its effect."""
    environment = dict(os.environ)
    notes = [*python_notes(environment), *spark_notes(settings, environment)]
    notes += [*java_notes(environment), *locale_notes(environment), *hadoop_notes(environment)]
    faults = [*java_faults(environment), *encoding_faults()]
    lines = [Line(NAME, Status.FIX, fault.text) for fault in faults]
    lines += [Line(NAME, Status.OK, note) for note in notes]
    return lines or [line_of(NAME, [], "no inherited setting affects Python, Java or Spark")]


def look_at_limits(settings: Settings) -> list[Line]:
    """Whether services and drivers may open enough files."""
    reason = too_few_open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "without limit" if hard == resource.RLIM_INFINITY else f"up to {hard}"
    faults = [Fault(reason)] if reason else []
    return [line_of("limits", faults, f"open files: {soft}, raised as needed {most}")]


def python_notes(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables that make Python import other modules."""
    for entry, names in SHADOWS.items():
        first = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        yield f"PYTHONPATH: `{entry}` is ignored, as it has another {first}"
    if "PYTHONHOME" in environment:
        yield "PYTHONHOME: `make` ignores it; unset it for commands without `make`"


def spark_notes(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
    """Variables of Spark's launchers, and the configuration that they point to."""
    known = {name.upper() for name in Settings.model_fields}
    names = sorted(n for n in environment if is_launcher_variable(n) and n not in known)
    if names:
        yield (
            f"{', '.join(names)}: only spark-submit uses them; drivers that Millrace starts on"
            " this machine ignore them"
        )
    if environment.get("SPARK_HOME"):
        try:
            spark_home()
        except JobError as error:
            yield f"matters only for submitting to a cluster: {error}"
    folder = conf_folder(environment)
    path = folder / "spark-defaults.conf" if folder else None
    if path and path.is_file():
        keys = ", ".join(sorted(foreign_keys(properties(path), {}))) or "nothing that matters"
        yield f"`{path}` sets {keys}: drivers on this machine do not read it"


def java_notes(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables with Java options; what Millrace sets itself overrides them."""
    names = [name for name in JAVA_VARIABLES if environment.get(name)]
    if names:
        yield f"{', '.join(names)}: applies to every Java process, except language and encoding"


def java_faults(environment: Mapping[str, str]) -> Iterator[Fault]:
    """Java options that keep Java from starting."""
    names = [name for name in JAVA_VARIABLES if environment.get(name)]
    java = installed_java(lambda text: None) if names else None
    if java is None:
        return
    outcome = subprocess.run(
        [str(java.executable), *java.options, "-version"],
        env=service_environment(for_java(environment)),
        capture_output=True,
        timeout=PROBE_TIMEOUT_SECONDS,
        check=False,
    )
    if outcome.returncode:
        yield Fault(f"Java does not start with {', '.join(names)}: correct or unset it")


def locale_notes(environment: Mapping[str, str]) -> Iterator[str]:
    """A locale whose letters or numbers differ from those of services and Spark."""
    name = next((name for name in LOCALE_VARIABLES if environment.get(name)), None)
    value = environment[name] if name else "C"
    if value.partition(".")[0].partition("_")[0] not in USUAL_LANGUAGES:
        yield f"{name}={value}: services and Spark run in {LOCALE['LC_ALL']}"


def encoding_faults() -> Iterator[Fault]:
    """An encoding that writes file names differently from Java's."""
    if not sys.flags.utf8_mode and locale.getencoding().lower() not in {"utf-8", "utf8"}:
        yield Fault(
            f"the text encoding is {locale.getencoding()}: set PYTHONUTF8=1, as `make` does, or a"
            " UTF-8 locale"
        )


def hadoop_notes(environment: Mapping[str, str]) -> Iterator[str]:
    """A Hadoop configuration with another file system for paths without a scheme."""
    for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR"):
        place = default_files(Path(environment[name])) if environment.get(name) else None
        if place and not place.startswith("file:"):
            yield f"{name}: fs.defaultFS is {place}; paths without a scheme stay on this machine"


def default_files(folder: Path) -> str | None:
    """`fs.defaultFS` of a folder's `core-site.xml`."""
    try:
        # The user's own file, so it is trusted.
        tree = ET.parse(folder / "core-site.xml")  # noqa: S314
    except (OSError, ET.ParseError):
        return None
    found = (
        p.findtext("value") for p in tree.iter("property") if p.findtext("name") in DEFAULT_FILES
    )
    return next(found, None)
