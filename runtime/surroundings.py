"""What a process inherits from its environment, and how results are made independent of it.

It needs only the standard library, because it is imported before any module that could be shadowed.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# For text, file names and messages, whatever the user's locale; Java's comes from options.
LOCALE: Final = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
# On the command line, where they take precedence over JAVA_TOOL_OPTIONS: lower case differs in
# Turkish.
JAVA_LOCALE: Final = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
# Java reads these options after those on the command line, so they would take precedence.
LAST_JAVA_OPTIONS: Final = "_JAVA_OPTIONS"
# The environment may contain secrets; a service gets only what a process needs.
PASSED_ON: Final = (
    *("PATH", "HOME", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("JAVA_TOOL_OPTIONS", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
# Variables of Spark's launchers that would override the settings' Spark, master, class path or
# place.
LAUNCHER_PREFIXES: Final = ("SPARK_", "PYSPARK_")
LAUNCHER_VARIABLES: Final = ("MASTER", "DEPLOY_MODE", "CLASSPATH", "HIVE_CONF_DIR")
# Variables that a driver on this machine may need for a cluster.
OF_CLUSTERS: Final = (
    *("SPARK_CONF_DIR", "SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME", "SPARK_PUBLIC_DNS"),
    "PYSPARK_PYTHON",
)
UNDER_SPARK_SUBMIT: Final = "PYSPARK_GATEWAY_PORT"
# Measured: a nearly idle driver has up to 510 open files, Kafka and Cassandra 180 each, more with
# more topics and tables.
LEAST_OPEN_FILES: Final = 1024
# Folders of PYTHONPATH that were dropped -> the names that they shadow.
SHADOWS: Final[dict[str, list[str]]] = {}
WANTED_OPEN_FILES: Final = 65_536
PRIVATE_UMASK: Final = 0o077
# For `Popen`: the child keeps this process's umask.
SAME_UMASK: Final = -1
# The umask that this process started with, once it has the private one.
_umask_at_start: list[int] = []


def drop_shadows() -> None:
    """Remove folders from the search path whose modules would shadow this project's.

    A PYTHONPATH may have another `settings` or another `pyspark`. Its other folders stay. Child
    processes run without the dropped folders too.
    """
    given = os.environ.get("PYTHONPATH")
    if not given or UNDER_SPARK_SUBMIT in os.environ:
        return
    entries = given.split(os.pathsep)
    SHADOWS.update({entry: names for entry in entries if (names := shadowed_by(entry))})
    dropped = {os.path.abspath(entry) for entry in SHADOWS}
    sys.path[:] = [path for path in sys.path if path not in dropped]
    os.environ["PYTHONPATH"] = os.pathsep.join(each for each in entries if each not in SHADOWS)


def shadowed_by(entry: str) -> list[str]:
    """Names of modules of this project and its dependencies that a folder also has."""
    own = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    if not entry or os.path.realpath(entry) in {*map(os.path.realpath, own)}:
        return []
    names = {name for folder in own for name in _modules(folder)} | sys.stdlib_module_names
    found = ((name, PathFinder.find_spec(name, [os.path.abspath(entry)])) for name in names)
    # A folder without `__init__.py` does not shadow a module of that name.
    return sorted(name for name, spec in found if spec is not None and spec.origin is not None)


def _modules(folder: str) -> Iterable[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return {name.partition(".")[0] for name in names if name[0].isalpha() and "-" not in name}


def service_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server of the embedded stack: no secrets, and a fixed locale."""
    return {name: environment[name] for name in PASSED_ON if name in environment} | LOCALE


def for_java(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of any other Java process.

    What the user sets for every Java (a proxy, a trust store) applies, but options on the command
    line take precedence.
    """
    options = [environment.get(name) for name in ("JAVA_TOOL_OPTIONS", LAST_JAVA_OPTIONS)]
    given = {"JAVA_TOOL_OPTIONS": " ".join(filter(None, options))} if any(options) else {}
    kept = {name: value for name, value in environment.items() if name != LAST_JAVA_OPTIONS}
    return kept | given | LOCALE


def driver_environment(
    environment: Mapping[str, str], spark_home: Path, master: str, settings: Iterable[str] = ()
) -> dict[str, str]:
    """The environment of a Spark driver that this process starts.

    Of Spark's own variables, only those needed to reach a cluster stay. The user's
    `spark-defaults.conf`, `spark-env.sh` or `hive-site.xml` does not affect a local driver.

    Args:
        environment: This process's environment.
        spark_home: Folder of the Spark that starts.
        master: SPARK_MASTER.
        settings: Variables that are settings, and stay.
    """
    is_local = master.startswith("local")
    kept = {*settings, *(() if is_local else OF_CLUSTERS)}
    found = {
        name: value
        for name, value in for_java(environment).items()
        if name in kept or not is_launcher_variable(name)
    }
    conf = None if is_local else conf_folder(environment)
    # A missing folder has no configuration.
    found["SPARK_CONF_DIR"] = str(conf or spark_home / "no-conf")
    if is_local:
        # Web pages and block transfers only on loopback; the `python3` on PATH may be another
        # version or missing.
        found |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    # Options of the small Java process that builds the driver's command.
    return found | {"SPARK_HOME": str(spark_home), "SPARK_LAUNCHER_OPTS": " ".join(JAVA_LOCALE)}


def is_launcher_variable(name: str) -> bool:
    """Whether Spark's launchers read this variable."""
    return name.startswith(LAUNCHER_PREFIXES) or name in LAUNCHER_VARIABLES


def conf_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder in which variables make Spark's launchers look for `spark-defaults.conf`."""
    if folder := environment.get("SPARK_CONF_DIR"):
        return Path(folder)
    home = environment.get("SPARK_HOME")
    return Path(home) / "conf" if home else None


def keep_private() -> None:
    """Let only this user read what this process and its children make from now on.

    Messages, rows, logs and checkpoints are about people.
    """
    before = os.umask(PRIVATE_UMASK)
    if not _umask_at_start:
        _umask_at_start.append(before)


def users_umask() -> int:
    """The umask that the user chose, for children that install programs, which others may use."""
    return _umask_at_start[0] if _umask_at_start else SAME_UMASK


def share(path: Path) -> None:
    """Give a file, or a folder with its content, the rights that the user's umask leaves.

    For what has no data: jars, and files of a project.
    """
    if _umask_at_start:
        for each in (path, *path.rglob("*")):
            each.chmod((0o777 if each.is_dir() else 0o666) & ~_umask_at_start[0])


def raise_open_files() -> None:
    """Let this process and its children open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def too_few_open_files() -> str | None:
    """Why servers and drivers would fail, and what to do; None if they may open enough files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= LEAST_OPEN_FILES:
        return None
    return (
        f"the limit of open files is {hard} (`ulimit -n`), and servers and Spark need"
        f" {LEAST_OPEN_FILES}: raise the hard limit (`nofile` in /etc/security/limits.conf,"
        " `LimitNOFILE` of a systemd unit, `--ulimit nofile` of a container), or start from a shell"
        " that did not lower it"
    )
