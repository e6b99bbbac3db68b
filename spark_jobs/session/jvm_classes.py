"""Classes of this project inside Spark, where Spark's own cost too much and no setting helps.

Their sources lie in `jvm/`, each with its reason. The compiler that Spark itself uses (Janino)
makes them anew in each driver: no JDK, no build, and always for the Spark that runs.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

SOURCES: Final = resources.files("spark_jobs.session") / "jvm"
# Its last part is that of Spark's own: the state is the same, either reads what the other wrote.
STATE_STORE: Final = "millrace.spark.RocksDBStateStoreProvider"
STATE_STORE_CONF: Final = "spark.sql.streaming.stateStore.providerClass"
LOCAL_FILES: Final = "millrace.spark.LocalFiles"
KAFKA_MESSAGES: Final = "millrace.spark.KafkaMessages"
CASSANDRA_WRITER: Final = "millrace.spark.CassandraWriter"
LOCAL_FILES_CONF: Final = "fs.file.impl"
# Pipelines of one driver write at the same time.
_making = threading.Lock()
# By which PySpark builds columns and calls.
LOOKED_UP: Final = ("functions", "Column", "PythonUtils", "org")


def add_classes(spark: SparkSession, folder: Path) -> None:
    """Make the classes that every job needs known, and let this session use them."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public way
    context: Any = spark.sparkContext._jsc  # noqa: SLF001 - PySpark has no public way
    _make_known(spark, folder / "millrace.jar", STATE_STORE, LOCAL_FILES, KAFKA_MESSAGES)
    spark.conf.set(STATE_STORE_CONF, STATE_STORE)
    if str(spark.sparkContext.master).startswith("local["):
        _use_local_files(jvm, context.hadoopConfiguration())


def cassandra_writer(spark: SparkSession, folder: Path) -> Any:
    """The class that writes to Cassandra; made when it is first asked for, in 0.3 seconds."""
    _make_known(spark, folder / "millrace-cassandra.jar", CASSANDRA_WRITER)
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public way
    return jvm.millrace.spark.CassandraWriter


def _make_known(spark: SparkSession, jar: Path, *classes: str) -> None:
    """Make classes known to driver and executors, once for each driver."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public way
    context: Any = spark.sparkContext._jsc  # noqa: SLF001 - PySpark has no public way
    # The loader of the driver's connectors, which all its threads have.
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    with _making:
        if loader.getResource(f"{classes[0].replace('.', '/')}.class") is None:
            _compile(jvm, loader, classes, jar)
            loader.addURL(jvm.java.io.File(str(jar)).toURI().toURL())
            context.addJar(str(jar))


def remember_lookups(spark: SparkSession) -> None:
    """Keep what PySpark's column functions look up in the JVM by name, thousands of times.

    Py4J asks the JVM each time, which then looks for a class of that name in every imported
    package, and so in every jar: a quarter of what building and verifying plans cost the driver.
    """
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public way
    for name in LOOKED_UP:
        setattr(jvm, name, getattr(jvm, name))


def _use_local_files(jvm: Any, configuration: Any) -> None:
    former = jvm.org.apache.hadoop.fs.FileSystem.getLocal(configuration)
    configuration.set(LOCAL_FILES_CONF, LOCAL_FILES)
    # Takes it out of Hadoop's cache; whoever holds it may go on.
    former.close()


def _compile(jvm: Any, loader: Any, classes: Sequence[str], jar: Path) -> None:
    with zipfile.ZipFile(jar, "w") as archive:
        for name in classes:
            compiler = jvm.org.codehaus.janino.SimpleCompiler()
            compiler.setParentClassLoader(loader)
            # The least by which interfaces may have static methods; the driver's have.
            compiler.setTargetVersion(8)
            source = SOURCES / f"{name.rpartition('.')[2]}.java"
            compiler.cook(source.read_text())
            for made, content in dict(compiler.getBytecodes()).items():
                archive.writestr(f"{made.replace('.', '/')}.class", bytes(content))
