"""The only builder of a SparkSession.

Connection secrets never pass through the command line of the JVM, where `ps` shows them: the JVM
is launched with what it needs to start, the rest is set inside it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from errors import JobError
from runtime.jars import folder, is_complete
from runtime.java import Java, find_java, java_environment
from runtime.surroundings import driver_environment, raise_open_files, too_few_open_files
from runtime.versions import pinned
from settings import Settings
from spark_jobs.session.cassandra_conf import connector_conf
from spark_jobs.session.class_archive import archive_options
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
from spark_jobs.session.jvm_classes import add_classes, remember_lookups
from spark_jobs.session.masters import refuse_unreachable
from spark_jobs.session.scratch import scratch
from spark_jobs.session.stopping import under_spark_submit
from spark_jobs.session.tls import write_trust_store

logger = logging.getLogger(__name__)
PARTITIONS = "spark.sql.shuffle.partitions"
# Of the deduplication's shuffle and state, where as many tasks can run at a time.
SHUFFLE_PARTITIONS = int(spark_defaults()[PARTITIONS])
MALLOC_POOLS = spark_defaults()["spark.executorEnv.MALLOC_ARENA_MAX"]
# On driver and executors.
JAVA_OPTIONS = tuple(spark_defaults()[EXECUTOR_OPTIONS].split())
# For a driver that lives for a minute: a third of what it computes would be Java's second compiler.
# Without it Java also makes do with a fifth of its room for compiled code, which plans overflow.
BRIEF_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m")
# For any other driver: all of its heap from the start, and no search for old garbage until most of
# it is taken. Left alone, Java makes do with less and searches beside the work all the time.
LASTING_OPTIONS = ("-Xms{heap}", "-XX:InitiatingHeapOccupancyPercent=70")
# The end of Spark's class path, by Spark's own name.
CLASS_PATH = "SPARK_DIST_CLASSPATH"
SPARK_HOME = Path(pyspark.__file__).parent
# Up to so many records Spark is done before code that is compiled for speed would pay.
BRIEF_RECORDS = 20_000
# Only a JVM that is about to start takes them.
AT_LAUNCH = ("spark.jars.packages", "spark.driver.extraJavaOptions")
CONNECTOR_CLASSES = (
    "org.apache.spark.sql.kafka010.KafkaSourceProvider",
    "com.datastax.spark.connector.datasource.CassandraCatalog",
)
S3_CLASSES = (
    "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
)
LOG_CONFIGURATION = Path(__file__).with_name("log4j2.properties")


def connector_packages(settings: Settings | None = None) -> list[str]:
    """Maven coordinates of the connectors that settings need, as pinned in pyproject.toml."""
    s3 = pinned("jars", "s3") if settings and writes_to_s3(settings) else ()
    return [*pinned("jars", "spark"), *s3]


def build_session(
    settings: Settings, name: str, *, is_brief: bool = False, may_archive: bool = False
) -> SparkSession:
    """Start Spark's driver and give its session.

    `is_brief`: so little is to be done that compiling it for speed would take longer.
    `may_archive`: its end may take longer, once, so that drivers start sooner from then on; the
    caller ends it by `keep_archive`.

    Raises:
        JobError: the driver did not start, or no master answers; names its log.
    """
    log_path = settings.millrace_home / "logs" / f"spark-{name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if under_spark_submit():
        SparkContext._ensure_initialized()  # noqa: SLF001 - PySpark has no public way
    else:
        refuse_unreachable(settings)
        options = driver_options(settings, is_brief=is_brief)
        _launch_jvm(settings, log_path, options, may_archive=may_archive)
    write_trust_store(settings)
    conf = _conf(settings, name)
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
            f"Spark's master `{master}` did not take this application. See `{log_path}`, and"
            " SPARK_MASTER, SPARK_EXECUTOR_MEMORY, SPARK_EXECUTOR_CORES."
        )
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and handler is not signal.default_int_handler:
        # PySpark has put one of its own in its place, which suits a shell.
        signal.signal(signal.SIGINT, handler)
    _check_connectors(spark, settings)
    add_classes(spark, scratch(settings, "tmp"))
    remember_lookups(spark)
    if _is_one_process(settings) and not under_spark_submit():
        # The third of three tasks would have one of two processors for itself.
        tasks_at_a_time = spark.sparkContext.defaultParallelism
        spark.conf.set(PARTITIONS, str(min(SHUFFLE_PARTITIONS, tasks_at_a_time)))
    return spark


def _conf(settings: Settings, name: str) -> SparkConf:
    """What the session is built with, in the JVM that has started."""
    jvm: Any = SparkContext._jvm  # noqa: SLF001 - PySpark has no public way
    # Under spark-submit its options are the JVM's, which knows no language of this project then.
    jvm.java.util.Locale.setDefault(jvm.java.util.Locale.US)
    # Under spark-submit the master is the one given there, and so is what executors get.
    given = dict(SparkConf().getAll())
    master = given.get("spark.master") or settings.spark_master
    own = session_conf(settings, name, master)
    foreign = sorted(foreign_keys(given, own))
    for key in foreign:
        # Hadoop's configuration and the connectors look there too.
        jvm.java.lang.System.clearProperty(key)
    if foreign:
        logger.warning("spark: not taken from its configuration: %s", ", ".join(foreign))
    conf = SparkConf()
    chosen = chosen_by_caller(given, own) if under_spark_submit() else {}
    for key, value in (own | chosen).items():
        conf.set(key, value)
    return conf


def driver_options(settings: Settings, *, is_brief: bool) -> tuple[str, ...]:
    """Java's options for a driver of that kind."""
    options = BRIEF_OPTIONS if is_brief else LASTING_OPTIONS
    return tuple(option.format(heap=settings.spark_driver_memory) for option in options)


def deduplication_partitions(spark: SparkSession) -> int:
    """Partitions of the shuffle and the state of a query that begins; it keeps them for ever."""
    return int(str(spark.conf.get(PARTITIONS)))


def _check_connectors(spark: SparkSession, settings: Settings) -> None:
    """See that the connectors are loaded: under spark-submit it is the caller who brings them."""
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
    settings: Settings, log_path: Path, more_options: Sequence[str] = ()
) -> dict[str, str]:
    """What the JVM must know when it starts; visible in the process list."""
    java_options = [
        f"-Dlog4j2.configurationFile={LOG_CONFIGURATION.as_uri()}",
        f"-Dmillrace.jvm.log={log_path}",
        f"-Dmillrace.jvm.log.pattern={str(log_path).replace('%', '%%')}",
        *JAVA_OPTIONS,
        *more_options,
    ]
    if settings.spark_master.startswith("local"):
        java_options.append(f"-Djava.io.tmpdir={scratch(settings, 'tmp')}")
    return {
        "spark.master": settings.spark_master,
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": _quoted(java_options),
        **_connector_jars(settings),
    }


def _quoted(options: Iterable[str]) -> str:
    """Options for Java in one line, as Spark's launcher takes it apart."""
    escaped = (option.replace("\\", "\\\\").replace('"', '\\"') for option in options)
    return " ".join(f'"{option}"' for option in escaped)


def _fetched_jars(settings: Settings) -> list[Path]:
    """The connectors' files; none where they were not all fetched."""
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
    """The connectors as files where they were fetched, else as coordinates that Spark looks up.

    Files cost no resolution at each start, and no registry is asked. One process has them in its
    class path instead, where Java's archive of classes reaches them.
    """
    if jars := _fetched_jars(settings):
        shipped = ",".join(jar.as_uri() for jar in jars)
        return {} if _is_one_process(settings) else {"spark.jars": shipped}
    conf = {"spark.jars.packages": ",".join(connector_packages(settings))}
    if writes_to_s3(settings):
        conf["spark.jars.excludes"] = ",".join(UNUSED_PACKAGES)
    return conf


def session_conf(settings: Settings, name: str, master: str) -> dict[str, str]:
    """Configuration of the session; may hold passwords."""
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
    if settings.spark_executor_memory:
        conf["spark.executor.memory"] = settings.spark_executor_memory
    if settings.spark_executor_cores:
        conf["spark.executor.cores"] = str(settings.spark_executor_cores)
    return conf


def _home_for_workers(settings: Settings) -> Path:
    """A SPARK_HOME whose `work` folder, where local-cluster puts its executors, is ours."""
    home = scratch(settings, "home")
    for entry in SPARK_HOME.iterdir():
        if entry.name != "work" and not (home / entry.name).exists():
            (home / entry.name).symlink_to(entry)
    return home


def _adopt_environment(settings: Settings, java: Java) -> None:
    """Leave this process, and the JVM that it starts, nothing that leads Spark elsewhere."""
    in_workers = settings.spark_master.startswith("local-cluster")
    home = _home_for_workers(settings) if in_workers else SPARK_HOME
    names = (name.upper() for name in Settings.model_fields)
    wanted = driver_environment(os.environ, home, settings.spark_master, names)
    wanted = {"MALLOC_ARENA_MAX": MALLOC_POOLS} | wanted | java_environment(java)
    for name in {*os.environ} - {*wanted}:
        os.environ.pop(name, None)
    os.environ.update(wanted | hadoop_environment(settings))


def _launch_jvm(
    settings: Settings, log_path: Path, more_options: Sequence[str], *, may_archive: bool
) -> None:
    """Start the JVM with its own output in the log."""
    if SparkContext._gateway is not None:  # noqa: SLF001 - PySpark has no public way
        return
    raise_open_files()
    if fault := too_few_open_files():
        raise JobError(f"Spark cannot start: {fault}.")
    java = find_java(settings, logger.info)
    jars = _fetched_jars(settings) if _is_one_process(settings) else []
    if jars:
        archive = archive_options(settings, java, jars, may_write=may_archive)
        more_options = [*more_options, *archive]
    conf = launch_conf(settings, log_path, more_options)
    _adopt_environment(settings, java)
    if jars:
        # Behind Spark's own, of which some are newer versions of the same libraries.
        os.environ[CLASS_PATH] = os.pathsep.join(map(str, jars))
    java_conf = SparkConf(loadDefaults=False)
    for key, value in conf.items():
        java_conf.set(key, value)
    output_path = log_path.with_suffix(".out")
    with output_path.open("w") as output:
        popen_options = {"stdout": output, "stderr": output}
        try:
            gateway = launch_gateway(java_conf, popen_options)  # type: ignore[no-untyped-call]
        except Exception as error:
            last_lines = "\n".join(output_path.read_text(errors="replace").splitlines()[-20:])
            raise JobError(
                f"Spark's Java process did not start. Its last lines, from `{output_path}`:\n"
                f"{last_lines}\nSee that Java 17 is found, that JAVA_TOOL_OPTIONS holds nothing it"
                " refuses (`make doctor`), and that the connectors could be fetched (network), then"
                " start again."
            ) from error
        finally:
            # No child of this process is to have them.
            os.environ.pop(CLASS_PATH, None)
    SparkContext._ensure_initialized(gateway=gateway)  # noqa: SLF001 - PySpark has no public way
