"""Builds every SparkSession.

Connection secrets never appear on the JVM's command line, where `ps` shows them: the JVM is
launched with only what it needs to start, and the rest is set inside it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from errors import JobError
from runtime.jars import folder, is_complete
from runtime.java import LATE_OPTIMISATION, Java, find_java, java_environment
from runtime.surroundings import driver_environment, raise_open_files, too_few_open_files
from runtime.versions import pinned
from settings import Settings
from spark_jobs.session.cassandra_conf import connector_conf
from spark_jobs.session.class_archive import archive_options, archive_read, archive_written
from spark_jobs.session.defaults import DEFAULTS_FILE, spark_defaults
from spark_jobs.session.file_system import LocalFiles
from spark_jobs.session.foreign_conf import (
    DEFAULT_FILES,
    EXECUTOR_OPTIONS,
    chosen_by_caller,
    foreign_keys,
)
from spark_jobs.session.hadoop_conf import (
    UNUSED_PACKAGES,
    hadoop_environment,
    store_conf,
    writes_to_s3,
)
from spark_jobs.session.jvm_classes import add_classes, kept_jars, remember_lookups
from spark_jobs.session.launch_options import LaunchOptions
from spark_jobs.session.masters import refuse_unreachable
from spark_jobs.session.scratch import scratch
from spark_jobs.session.stopping import under_spark_submit
from spark_jobs.session.tls import write_trust_store

logger = logging.getLogger(__name__)
PARTITIONS = "spark.sql.shuffle.partitions"
# Partitions of the deduplication's shuffle and state, if that many tasks can run at a time.
SHUFFLE_PARTITIONS = int(spark_defaults()[PARTITIONS])
MALLOC_POOLS = spark_defaults()["spark.executorEnv.MALLOC_ARENA_MAX"]
# For driver and executors.
JAVA_OPTIONS = tuple(spark_defaults()[EXECUTOR_OPTIONS].split())
# For a driver that lives for a minute: Java's second compiler would take a third of its processor
# time. Without that compiler Java reserves a fifth of the space for compiled code, too little for
# plans.
BRIEF_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m")
# For any other driver: the whole heap from the start, and no search for old garbage until most of
# it is used. By default Java starts with less and searches all the time.
LASTING_OPTIONS = (
    *("-Xms{heap}", "-XX:InitiatingHeapOccupancyPercent=70"),
    *LATE_OPTIMISATION,
)
# Spark's variable for the end of its class path.
CLASS_PATH = "SPARK_DIST_CLASSPATH"
SPARK_HOME = Path(pyspark.__file__).parent
# Up to this many records, Spark finishes before optimised compilation would pay.
BRIEF_RECORDS = 20_000
# Properties that only a starting JVM reads.
AT_LAUNCH = ("spark.jars.packages", "spark.driver.extraJavaOptions")
CONNECTOR_CLASSES = (
    "org.apache.spark.sql.kafka010.KafkaSourceProvider",
    "com.datastax.spark.connector.datasource.CassandraCatalog",
)
S3_CLASSES = (
    "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
)
# Of a few thousand records, compiling plans takes longer than interpreting them.
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
LOG_CONFIGURATION = Path(__file__).with_name("log4j2.properties")


def connector_packages(settings: Settings | None = None) -> list[str]:
    """Maven coordinates of the connectors that settings need, as pinned in pyproject.toml."""
    s3 = pinned("jars", "s3") if settings and writes_to_s3(settings) else ()
    return [*pinned("jars", "spark"), *s3]


def build_session(
    settings: Settings,
    name: str,
    *,
    is_brief: bool = False,
    may_archive: bool = False,
    is_alone: bool = False,
    has_ui: bool = False,
) -> SparkSession:
    """Start Spark's driver and return its session.

    `is_brief`: there is so little work that compilation would take longer than it saves.
    `may_archive`: the driver may take longer to end, once, so that later drivers start sooner; the
    caller ends it with `keep_archive`.
    `is_alone`: it reads and writes no store, so it needs no connectors and downloads none.
    `has_ui`: it lasts, so it has web pages, with a local master on loopback.

    Raises:
        JobError: the driver did not start, or no master answers; names its log.
    """
    log_path = settings.millrace_home / "logs" / f"spark-{name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if under_spark_submit():
        SparkContext._ensure_initialized()  # noqa: SLF001 - PySpark has no public API
    else:
        refuse_unreachable(settings)
        options = driver_options(settings, is_brief=is_brief)
        _launch_jvm(settings, log_path, options, may_archive=may_archive, is_alone=is_alone)
    write_trust_store(settings)
    conf = _conf(settings, name)
    if is_alone:
        conf.set(PARTITIONS, "1")
    if not has_ui and not under_spark_submit():
        conf.set("spark.ui.enabled", "false")
    master = str(conf.get("spark.master"))
    handler = signal.getsignal(signal.SIGINT)
    try:
        spark = SparkSession.builder.config(conf=conf).getOrCreate()
    except Exception as error:
        raise JobError(
            f"Spark did not start on `{master}`: {type(error).__name__}. See"
            f" `{log_path}`, and SPARK_MASTER, SPARK_EXECUTOR_MEMORY, SPARK_EXECUTOR_CORES."
        ) from error
    if spark.sparkContext._jsc.sc().isStopped():  # noqa: SLF001
        raise JobError(
            f"Spark's master `{master}` did not accept this application. See `{log_path}`, and"
            " SPARK_MASTER, SPARK_EXECUTOR_MEMORY, SPARK_EXECUTOR_CORES."
        )
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and handler is not signal.default_int_handler:
        # PySpark has replaced it by its own, which suits a shell.
        signal.signal(signal.SIGINT, handler)
    remember_lookups(spark)
    for key, value in INTERPRETED.items() if is_brief else ():
        # Not for sessions that are made of this one: they know how much they read.
        spark.conf.set(key, value)
    if is_alone:
        return spark
    _check_connectors(spark, settings)
    add_classes(spark, settings)
    if _is_one_process(settings) and not under_spark_submit():
        # Otherwise three tasks on two processors would leave one idle during the third.
        tasks_at_a_time = spark.sparkContext.defaultParallelism
        spark.conf.set(PARTITIONS, str(min(SHUFFLE_PARTITIONS, tasks_at_a_time)))
    return spark


def _conf(settings: Settings, name: str) -> SparkConf:
    """The session's configuration, in the JVM that has started."""
    jvm: Any = SparkContext._jvm  # noqa: SLF001 - PySpark has no public API
    # Under spark-submit the JVM has the caller's options, and so perhaps another locale.
    jvm.java.util.Locale.setDefault(jvm.java.util.Locale.US)
    # Under spark-submit the caller chooses the master and the executors' resources.
    given = dict(SparkConf().getAll())
    master = given.get("spark.master") or settings.spark_master
    own = session_conf(settings, name, master)
    foreign = sorted(foreign_keys(given, own))
    for key in foreign:
        # Hadoop's configuration and the connectors read system properties too.
        jvm.java.lang.System.clearProperty(key)
    if foreign:
        logger.warning("spark: ignored properties of its configuration: %s", ", ".join(foreign))
    conf = SparkConf()
    chosen = chosen_by_caller(given, own) if under_spark_submit() else {}
    for key, value in (own | chosen).items():
        conf.set(key, value)
    return conf


def driver_options(settings: Settings, *, is_brief: bool) -> tuple[str, ...]:
    """Java's options for a brief or a lasting driver."""
    options = BRIEF_OPTIONS if is_brief else LASTING_OPTIONS
    return tuple(option.format(heap=settings.spark_driver_memory) for option in options)


def deduplication_partitions(spark: SparkSession) -> int:
    """Number of partitions of a new query's shuffle and state, which never changes."""
    return int(str(spark.conf.get(PARTITIONS)))


def _check_connectors(spark: SparkSession, settings: Settings) -> None:
    """Check that the connectors are loaded; under spark-submit the caller provides them."""
    loader = spark._jvm.org.apache.spark.util.Utils  # type: ignore[union-attr]  # noqa: SLF001
    try:
        for name in (*CONNECTOR_CLASSES, *(S3_CLASSES if writes_to_s3(settings) else ())):
            loader.classForName(name, True, False)
    except Exception as error:
        spark.stop()
        packages = f" --packages {','.join(connector_packages(settings))}"
        raise JobError(
            "Spark was started without the connectors. Give them to spark-submit:"
            f" --properties-file {DEFAULTS_FILE}{packages if writes_to_s3(settings) else ''}"
        ) from error


def launch_conf(
    settings: Settings,
    log_path: Path,
    more_options: Sequence[str] = (),
    *,
    is_alone: bool = False,
) -> dict[str, str]:
    """The configuration that the JVM needs when it starts; visible in the process list."""
    java_options = [
        f"-Dlog4j2.configurationFile={LOG_CONFIGURATION.as_uri()}",
        f"-Dmillrace.jvm.log={log_path}",
        f"-Dmillrace.jvm.log.pattern={str(log_path).replace('%', '%%')}",
        # A crash report belongs to the log, not to the folder in which the command was given.
        f"-XX:ErrorFile={str(log_path.with_suffix('.crash')).replace('%', '%%')}",
        *JAVA_OPTIONS,
        *more_options,
    ]
    if settings.spark_master.startswith("local"):
        java_options.append(f"-Djava.io.tmpdir={scratch(settings, 'tmp')}")
    return {
        "spark.master": settings.spark_master,
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": _quoted(java_options),
        **({} if is_alone else _connector_jars(settings)),
    }


def _quoted(options: Iterable[str]) -> str:
    """Java options in one line, quoted for Spark's launcher."""
    escaped = (option.replace("\\", "\\\\").replace('"', '\\"') for option in options)
    return " ".join(f'"{option}"' for option in escaped)


def fetched_jars(settings: Settings) -> list[Path]:
    """The connectors' files; none if some were not downloaded."""
    groups = ("spark", "s3") if writes_to_s3(settings) else ("spark",)
    if not all(is_complete(settings, group) for group in groups):
        return []
    folders = [folder(settings, group).resolve() for group in groups]
    # Some libraries belong to both groups.
    return [*{jar.name: jar for place in folders for jar in sorted(place.glob("*.jar"))}.values()]


def _is_one_process(settings: Settings) -> bool:
    """Whether the driver's JVM is the only one that needs the connectors."""
    return settings.spark_master.split("[")[0] == "local"


def _connector_jars(settings: Settings) -> dict[str, str]:
    """The connectors as files if they were downloaded, else as coordinates that Spark resolves.

    Files need no resolution at each start and no registry. A single process has them in its class
    path instead, where Java's class archive includes them.
    """
    if jars := fetched_jars(settings):
        shipped = ",".join(jar.as_uri() for jar in jars)
        return {} if _is_one_process(settings) else {"spark.jars": shipped}
    conf = {"spark.jars.packages": ",".join(connector_packages(settings))}
    if writes_to_s3(settings):
        conf["spark.jars.excludes"] = ",".join(UNUSED_PACKAGES)
    return conf


def session_conf(settings: Settings, name: str, master: str) -> dict[str, str]:
    """Configuration of the session; may include passwords."""
    conf = {
        **{key: value for key, value in spark_defaults().items() if key not in AT_LAUNCH},
        "spark.app.name": f"millrace-{name}",
        "spark.local.dir": str(scratch(settings, "local")),
        "spark.sql.warehouse.dir": LocalFiles(settings.millrace_home).url("spark/warehouse"),
        **({} if master.startswith("yarn") else DEFAULT_FILES),
        **connector_conf(settings),
        **store_conf(settings),
    }
    if master.startswith("local"):
        conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        options = [*JAVA_OPTIONS, f"-Djava.io.tmpdir={scratch(settings, 'tmp')}"]
        conf[EXECUTOR_OPTIONS] = _quoted(options)
    if master.split("[")[0] == "local":
        # By default tasks wait up to 3 s for an executor that is nearer to their rows. There is no
        # other one, and yet tasks that read Cassandra and kept rows stood still for that long.
        conf["spark.locality.wait"] = "0"
    if settings.spark_executor_memory:
        conf["spark.executor.memory"] = settings.spark_executor_memory
    if settings.spark_executor_cores:
        conf["spark.executor.cores"] = str(settings.spark_executor_cores)
    return conf


def _home_for_workers(settings: Settings) -> Path:
    """A copy of SPARK_HOME with its own `work` folder, where local-cluster puts its executors."""
    home = scratch(settings, "home")
    for entry in SPARK_HOME.iterdir():
        if entry.name != "work" and not (home / entry.name).exists():
            (home / entry.name).symlink_to(entry)
    return home


def _adopt_environment(settings: Settings, java: Java) -> None:
    """Remove variables that would misdirect Spark from this process and the JVM that it starts."""
    in_workers = settings.spark_master.startswith("local-cluster")
    home = _home_for_workers(settings) if in_workers else SPARK_HOME
    names = (name.upper() for name in Settings.model_fields)
    wanted = driver_environment(os.environ, home, settings.spark_master, names)
    wanted = {"MALLOC_ARENA_MAX": MALLOC_POOLS} | wanted | java_environment(java)
    for name in {*os.environ} - {*wanted}:
        os.environ.pop(name, None)
    os.environ.update(wanted | hadoop_environment(settings))


def _launch_jvm(
    settings: Settings,
    log_path: Path,
    more_options: Sequence[str],
    *,
    may_archive: bool,
    is_alone: bool,
) -> None:
    """Start the JVM, with its output in the log."""
    if SparkContext._gateway is not None:  # noqa: SLF001 - PySpark has no public API
        return
    raise_open_files()
    if fault := too_few_open_files():
        raise JobError(f"Spark cannot start: {fault}.")
    java = find_java(settings, logger.info)
    jars = fetched_jars(settings) if _is_one_process(settings) else []
    archive = archive_options(settings, java, jars, may_write=may_archive) if jars else []
    _adopt_environment(settings, java)
    # After Spark's own jars, some of which are newer versions of the same libraries.
    paths = [*jars, *own_jars(settings, archive)] if jars else []
    class_path = {CLASS_PATH: os.pathsep.join(map(str, paths))} if paths else {}

    def started(options: Sequence[str]) -> Any:
        conf = launch_conf(settings, log_path, options, is_alone=is_alone)
        return _gateway(conf, class_path, log_path.with_suffix(".out"))

    try:
        gateway = started([*more_options, *archive])
    except JobError:
        if not (read := archive_read(archive)):
            raise
        # Java does not look at an archive's content before it uses it, so damage ends it.
        gateway = started(more_options)
        logger.warning("java: starts without `%s`, not with it; a later job makes another", read)
        with suppress(OSError):
            read.unlink()
    SparkContext._ensure_initialized(gateway=gateway)  # noqa: SLF001 - PySpark has no public API


def own_jars(settings: Settings, archive: Sequence[str]) -> list[Path]:
    """This project's own jar, for the end of the class path; not where an archive is written.

    An archive fits a class path that is longer at its end, and none in which a jar has changed, as
    this one does with its sources.
    """
    return [] if archive_written(archive) else kept_jars(settings)


def _gateway(conf: Mapping[str, str], class_path: dict[str, str], output_path: Path) -> Any:
    """Start the JVM with its output in a file.

    Raises:
        JobError: it ended at once; has its last lines.
    """
    java_conf = SparkConf(loadDefaults=False)
    for key, value in conf.items():
        java_conf.set(key, value)
    with output_path.open("w") as output:
        popen_options = LaunchOptions(class_path, stdout=output, stderr=output)
        try:
            return launch_gateway(java_conf, popen_options)  # type: ignore[no-untyped-call]
        except Exception as error:
            last_lines = "\n".join(output_path.read_text(errors="replace").splitlines()[-20:])
            raise JobError(
                f"Spark's Java process did not start. Its last lines, from `{output_path}`:\n"
                f"{last_lines}\nCheck that Java 17 is found, that JAVA_TOOL_OPTIONS has no option"
                " that it refuses (`make doctor`), and that the connectors could be downloaded"
                " (network), then start again."
            ) from error
