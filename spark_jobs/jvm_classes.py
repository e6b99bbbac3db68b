"""Classes of this project inside Spark, where Spark's own cost too much and no setting helps.

Their sources lie in `jvm/`, each with its reason. The compiler that Spark itself uses (Janino)
makes them anew in each driver: no JDK, no build, and always for the Spark that runs.
"""

from __future__ import annotations

import zipfile
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

SOURCES: Final = resources.files("spark_jobs") / "jvm"
# Its last part is that of Spark's own: the state is the same, either reads what the other wrote.
STATE_STORE: Final = "millrace.spark.RocksDBStateStoreProvider"
STATE_STORE_CONF: Final = "spark.sql.streaming.stateStore.providerClass"
LOCAL_FILES: Final = "millrace.spark.LocalFiles"
LOCAL_FILES_CONF: Final = "fs.file.impl"
# By which PySpark builds columns and calls.
LOOKED_UP: Final = ("functions", "Column", "PythonUtils", "org")


def add_classes(spark: SparkSession, folder: Path) -> None:
    """Make the classes known to driver and executors, and let this session use them."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public way
    context: Any = spark.sparkContext._jsc  # noqa: SLF001 - PySpark has no public way
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    if loader.getResource(f"{STATE_STORE.replace('.', '/')}.class") is None:
        jar = _compiled(jvm, loader, folder / "millrace.jar")
        # The loader of the driver's connectors, which all its threads have.
        loader.addURL(jvm.java.io.File(str(jar)).toURI().toURL())
        context.addJar(str(jar))
    spark.conf.set(STATE_STORE_CONF, STATE_STORE)
    if str(spark.sparkContext.master).startswith("local["):
        _use_local_files(jvm, context.hadoopConfiguration())


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


def _compiled(jvm: Any, loader: Any, jar: Path) -> Path:
    with zipfile.ZipFile(jar, "w") as archive:
        for source in SOURCES.iterdir():
            compiler = jvm.org.codehaus.janino.SimpleCompiler()
            compiler.setParentClassLoader(loader)
            # The least by which interfaces may have static methods; the driver's have.
            compiler.setTargetVersion(8)
            compiler.cook(source.read_text())
            for name, content in dict(compiler.getBytecodes()).items():
                archive.writestr(f"{name.replace('.', '/')}.class", bytes(content))
    return jar
