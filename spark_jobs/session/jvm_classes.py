"""This project's own classes inside Spark, where Spark's cost too much and no setting helps.

Their sources are in `jvm/`, each with its reason. Spark's own compiler (Janino) compiles them in
the first driver of each Spark: no JDK, no build. Later drivers find the jar next to the connectors.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import pyspark
from py4j.java_gateway import JavaClass, JavaMember, JavaPackage
from pyspark.sql import SparkSession

from runtime.versions import pinned
from settings import Settings
from spark_jobs.session.scratch import scratch

SOURCES: Final = resources.files("spark_jobs.session") / "jvm"
# It has the simple name of Spark's class: each can read the state that the other wrote.
STATE_STORE: Final = "millrace.spark.RocksDBStateStoreProvider"
STATE_STORE_CONF: Final = "spark.sql.streaming.stateStore.providerClass"
LOCAL_FILES: Final = "millrace.spark.LocalFiles"
KAFKA_MESSAGES: Final = "millrace.spark.KafkaMessages"
KAFKA_SENDER: Final = "millrace.spark.KafkaSender"
LOCAL_FILES_CONF: Final = "fs.file.impl"
# What reading a damaged zip file raises.
DAMAGE: Final = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
# The names that PySpark looks up to build columns, frames and calls.
LOOKED_UP: Final = (
    *("functions", "Column", "PythonUtils", "PythonSQLUtils", "PythonRDD", "SerDeUtil"),
    *("SparkSession", "org", "java", "scala", "com", "millrace"),
)


def add_classes(spark: SparkSession, settings: Settings) -> None:
    """Load the classes, once per driver, and make this session use them."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
    context: Any = spark.sparkContext._jsc  # noqa: SLF001 - PySpark has no public API
    # The class loader of the driver's connectors, which all its threads use.
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    if loader.getResource(f"{STATE_STORE.replace('.', '/')}.class") is None:
        (jar,) = kept_jars(settings) or [_compiled(jvm, loader, settings)]
        loader.addURL(jvm.java.io.File(str(jar)).toURI().toURL())
        context.addJar(str(jar))
    spark.conf.set(STATE_STORE_CONF, STATE_STORE)
    if str(spark.sparkContext.master).startswith("local["):
        _use_local_files(jvm, context.hadoopConfiguration())


def own_classes(spark: SparkSession) -> Any:
    """The JVM's package of these classes."""
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
    return jvm.millrace.spark


def kept_jars(settings: Settings) -> list[Path]:
    """The jar of the compiled classes; none if there is none that is whole and readable."""
    jar = _place(settings)
    try:
        with zipfile.ZipFile(jar) as archive:
            return [] if archive.testzip() else [jar]
    except DAMAGE:
        return []


def _place(settings: Settings) -> Path:
    """Where the compiled classes are kept, by what they were compiled from and against."""
    digest = hashlib.sha256(f"{pyspark.__version__} {pinned('jars', 'spark')}".encode())
    for source in _sources():
        digest.update(source.read_bytes())
    return settings.jars / f"millrace-{digest.hexdigest()[:16]}.jar"


def _sources() -> list[Traversable]:
    return sorted(SOURCES.iterdir(), key=lambda source: source.name)


def _compiled(jvm: Any, loader: Any, settings: Settings) -> Path:
    """A new jar of the classes, kept if it can be, in place of one that is damaged.

    It cannot in an image, nor where another user of the same folder has kept it.
    """
    jar = _place(settings)
    own = scratch(settings, "tmp") / jar.name
    is_others = jar.exists() and not os.access(jar, os.R_OK)
    may_keep = os.access(jar.parent, os.W_OK) and not is_others
    partial = jar.with_suffix(f".{os.getpid()}") if may_keep else own
    compile_sources(jvm, loader, _sources(), partial)
    return partial.replace(jar) if may_keep else own


class _Class(JavaClass):  # type: ignore[misc]
    """A class whose static methods are looked up once."""

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        # Not fields, whose values may change.
        if isinstance(found, JavaMember):
            setattr(self, name, found)
        return found


class _Package(JavaPackage):  # type: ignore[misc]
    """A package whose classes and packages are looked up once."""

    def __getattr__(self, name: str) -> Any:
        found = _remembered(super().__getattr__(name))
        # The name of a class that is not loaded yet is taken for a package.
        if isinstance(found, JavaClass) or name[0].islower():
            setattr(self, name, found)
        return found


def _remembered(found: Any) -> Any:
    client = found._gateway_client  # noqa: SLF001 - Py4J has no public API
    if isinstance(found, JavaClass):
        return _Class(found._fqn, client)  # noqa: SLF001
    return _Package(found._fqn, client, found._jvm_id)  # noqa: SLF001


def remember_lookups(spark: SparkSession) -> None:
    """Cache the JVM names that PySpark looks up thousands of times, and methods of its classes.

    Without it Py4J asks the JVM each time, which searches every imported package, and so every
    jar, for a class of that name: a quarter of the driver's time for building and checking plans.
    """
    jvm: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
    for name in LOOKED_UP:
        setattr(jvm, name, _remembered(getattr(jvm, name)))


def _use_local_files(jvm: Any, configuration: Any) -> None:
    former = jvm.org.apache.hadoop.fs.FileSystem.getLocal(configuration)
    configuration.set(LOCAL_FILES_CONF, LOCAL_FILES)
    # Removes it from Hadoop's cache; existing users can continue.
    former.close()


def compile_sources(jvm: Any, loader: Any, sources: Iterable[Traversable], jar: Path) -> None:
    """Compile Java sources, each on its own, against the loader's classes, into a jar."""
    with zipfile.ZipFile(jar, "w") as archive:
        for source in sources:
            compiler = jvm.org.codehaus.janino.SimpleCompiler()
            compiler.setParentClassLoader(loader)
            # The lowest version that allows static methods in interfaces, which the driver has.
            compiler.setTargetVersion(8)
            compiler.cook(source.read_text())
            for made, content in dict(compiler.getBytecodes()).items():
                archive.writestr(f"{made.replace('.', '/')}.class", bytes(content))
