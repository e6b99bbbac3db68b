"""What a process inherits from whoever starts it, and how results are kept from depending on it.

The standard library alone, as it is imported before anything that could be another module than the
one that is meant.
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
# Of texts, file names and messages, whatever the user's own is; Java takes its own from options.
LOCALE: Final = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
# On the command line, where they win over JAVA_TOOL_OPTIONS: in Turkish `TITLE` in lower case is
# another word.
JAVA_LOCALE: Final = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
# Java takes these options after those of the command line, so that they would win.
LAST_JAVA_OPTIONS: Final = "_JAVA_OPTIONS"
# Settings may hold secrets in the environment; a service gets only what a process needs.
PASSED_ON: Final = (
    *("PATH", "HOME", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("JAVA_TOOL_OPTIONS", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
# Of Spark's launchers: they choose another Spark, master, class path or place than the settings do.
LAUNCHER_PREFIXES: Final = ("SPARK_", "PYSPARK_")
LAUNCHER_VARIABLES: Final = ("MASTER", "DEPLOY_MODE", "CLASSPATH", "HIVE_CONF_DIR")
# What a cluster may ask of a driver on this machine.
OF_CLUSTERS: Final = (
    *("SPARK_CONF_DIR", "SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME", "SPARK_PUBLIC_DNS"),
    "PYSPARK_PYTHON",
)
UNDER_SPARK_SUBMIT: Final = "PYSPARK_GATEWAY_PORT"
# Measured: a driver has up to 510 files open with little to do, Kafka and Cassandra 180 each, which
# grows with topics and tables.
LEAST_OPEN_FILES: Final = 1024
# Folders of PYTHONPATH that were left out, and the names for which.
SHADOWS: Final[dict[str, list[str]]] = {}
WANTED_OPEN_FILES: Final = 65_536


def drop_shadows() -> None:
    """Take folders off the search path whose modules would take the place of those that are meant.

    A PYTHONPATH may hold another `settings` or another `pyspark`. Other folders of it stay.
    Processes that are started do without the same ones.
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
    """Names of modules, of this project and of what it is built on, that a folder holds too."""
    own = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    if not entry or os.path.realpath(entry) in {*map(os.path.realpath, own)}:
        return []
    names = {name for folder in own for name in _modules(folder)} | sys.stdlib_module_names
    found = ((name, PathFinder.find_spec(name, [os.path.abspath(entry)])) for name in names)
    # A folder without `__init__.py` gives way to a module of that name.
    return sorted(name for name, spec in found if spec is not None and spec.origin is not None)


def _modules(folder: str) -> Iterable[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return {name.partition(".")[0] for name in names if name[0].isalpha() and "-" not in name}


def service_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server of the embedded stack: no secrets, and a locale of its own."""
    return {name: environment[name] for name in PASSED_ON if name in environment} | LOCALE


def for_java(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of any other Java that is started.

    What the user sets for every Java (a proxy, a trust store) holds, and gives way to the options
    of the command line.
    """
    options = [environment.get(name) for name in ("JAVA_TOOL_OPTIONS", LAST_JAVA_OPTIONS)]
    given = {"JAVA_TOOL_OPTIONS": " ".join(filter(None, options))} if any(options) else {}
    kept = {name: value for name, value in environment.items() if name != LAST_JAVA_OPTIONS}
    return kept | given | LOCALE


def driver_environment(
    environment: Mapping[str, str], spark_home: Path, master: str, settings: Iterable[str] = ()
) -> dict[str, str]:
    """The environment of a Spark driver that this process starts.

    Of Spark's own variables only those stay by which a cluster is reached. A `spark-defaults.conf`,
    `spark-env.sh` or `hive-site.xml` of the user has no say in a driver on this machine.

    Args:
        environment: That of this process.
        spark_home: Where the Spark is that starts.
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
    # A folder that is not there holds nothing.
    found["SPARK_CONF_DIR"] = str(conf or spark_home / "no-conf")
    if is_local:
        # Web pages and block transfers on the loopback interface only; the `python3` of PATH may
        # be another version or absent.
        found |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    # Of the small Java that puts the command of the driver's together.
    return found | {"SPARK_HOME": str(spark_home), "SPARK_LAUNCHER_OPTS": " ".join(JAVA_LOCALE)}


def is_launcher_variable(name: str) -> bool:
    """Whether Spark's launchers read a variable of that name."""
    return name.startswith(LAUNCHER_PREFIXES) or name in LAUNCHER_VARIABLES


def conf_folder(environment: Mapping[str, str]) -> Path | None:
    """Where Spark's launchers would look for `spark-defaults.conf`, if variables say so."""
    if folder := environment.get("SPARK_CONF_DIR"):
        return Path(folder)
    home = environment.get("SPARK_HOME")
    return Path(home) / "conf" if home else None


def raise_open_files() -> None:
    """Let this process, and those that it starts, open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def too_few_open_files() -> str | None:
    """Why servers and drivers would fail, and what to do; None where they may open enough files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= LEAST_OPEN_FILES:
        return None
    return (
        f"the limit of open files is {hard} (`ulimit -n`), and servers and Spark need"
        f" {LEAST_OPEN_FILES}: raise the hard limit (`nofile` in /etc/security/limits.conf,"
        " `LimitNOFILE` of a systemd unit, `--ulimit nofile` of a container), or start from a shell"
        " that did not lower it"
    )
