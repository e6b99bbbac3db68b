"""Checks of versions: Python, its packages, Java, and how Spark, Scala and connectors fit."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from local_stack.bootstrap import dotted, supported_versions
from operations.doctor.check import Fault, Line, line_of
from runtime.jars import is_complete
from runtime.java import JAVA_VERSION, present_java
from runtime.versions import installed_version, pinned, pinned_packages
from settings import PROJECT_ROOT, Settings

REINSTALL: Final = "remove `.venv`; the next `make` command creates it again"
SPARK_CORE: Final = re.compile(r"spark-core_(\d+\.\d+)-(\d+\.\d+\.\d+)\.jar")
HADOOP_CLIENT: Final = re.compile(r"hadoop-client-api-(\d+\.\d+\.\d+)\.jar")
# The tables use storage-attached indexes, which came with 5.0.
OLDEST_CASSANDRA: Final = (5, 0)


def look_at_python(settings: Settings) -> list[Line]:
    """Whether this Python is supported, and every package has its pinned version."""
    text = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    here, supported = tuple(sys.version_info[:2]), supported_versions(text)
    wanted = " or ".join(dotted(version) for version in supported)
    fault = Fault(f"{dotted(here)}, Millrace needs {wanted}: {REINSTALL}")
    packages = pinned_packages(*(["embedded"] if settings.stack == "embedded" else []))
    found = {name: installed_version(name) for name in packages}
    faults = list(package_faults(packages, found))
    version = dotted(tuple(sys.version_info[:3]))
    return [
        line_of("python", [] if here in supported else [fault], f"{version} in {sys.prefix}"),
        line_of("packages", faults, f"all {len(packages)} match pyproject.toml"),
    ]


def package_faults(wanted: Mapping[str, str], found: Mapping[str, str | None]) -> Iterator[Fault]:
    """Packages that are missing or have another version."""
    differing = [
        f"{name} {found[name] or 'is missing'}, pinned {version}"
        for name, version in wanted.items()
        if found[name] != version
    ]
    if differing:
        yield Fault(f"{'; '.join(differing)}: {REINSTALL}")


def look_at_java(settings: Settings) -> list[Line]:
    """Whether Java is installed; the first use installs it."""
    remarks: list[str] = []
    java = present_java(remarks.append)
    if java is None:
        (requirement,) = pinned("python", "java")
        text = f"no Java {JAVA_VERSION}: `make up` installs {requirement} (60 MB)"
        return [line_of("java", [Fault(text, by_itself=True)], "")]
    passed_over = "".join(f"; {remark.removeprefix('java: ')}" for remark in remarks)
    return [line_of("java", [], f"{java.version} at {java.home}{passed_over}")]


@dataclass(frozen=True)
class SparkJars:
    """A Spark installation and its versions, read from the names of its jars."""

    home: Path
    version: str
    scala: str
    hadoop: str


def look_at_versions(settings: Settings) -> list[Line]:
    """Whether Spark has its pinned version, connectors fit it, and jars are fetched."""
    spark = spark_jars()
    faults = list(matrix_faults(spark, pinned_packages()["pyspark"], jar_groups()))
    # Fetching does not fix versions that do not fit together.
    absent = [group for group in jars_in_use(settings) if not is_complete(settings, group)]
    if absent and not faults:
        verb = "make up" if settings.stack == "embedded" else "make run"
        faults.append(
            Fault(f"jars not fetched yet ({', '.join(absent)}): `{verb}` fetches them", True)
        )
    connector = next(c for c in pinned("jars", "spark") if "cassandra-connector" in c)
    found = f"Spark {spark.version}, Scala {spark.scala}, Hadoop {spark.hadoop}" if spark else ""
    return [line_of("versions", faults, f"{found}, {connector.partition(':')[2]}")]


def spark_jars() -> SparkJars | None:
    """The Spark that jobs start: the one inside the PySpark package."""
    spec = find_spec("pyspark")
    home = Path(str(spec and spec.origin)).parent
    names = [path.name for path in (home / "jars").glob("*.jar")]
    core = next(filter(None, map(SPARK_CORE.fullmatch, names)), None)
    hadoop = next(filter(None, map(HADOOP_CLIENT.fullmatch, names)), None)
    return SparkJars(home, core[2], core[1], hadoop[1]) if core and hadoop else None


def jar_groups() -> dict[str, tuple[str, ...]]:
    """The coordinates, by group, that must fit Spark or the tables."""
    return {group: pinned("jars", group) for group in ("spark", "s3", "hdfs", "cassandra")}


def jars_in_use(settings: Settings) -> list[str]:
    """Groups of jars that these settings need on this machine."""
    servers = ["kafka", "cassandra"] if settings.stack == "embedded" else []
    if settings.stack == "embedded" and settings.starts("hdfs"):
        servers.append("hdfs")
    return ["spark", *servers]


def matrix_faults(
    spark: SparkJars | None, wanted: str, groups: Mapping[str, Sequence[str]]
) -> Iterator[Fault]:
    """Pinned coordinates that do not fit Spark, and a Spark that is not the pinned one.

    Args:
        spark: The Spark that jobs would start; None if there is none.
        wanted: The version of PySpark that is pinned.
        groups: Coordinates `group:artifact:version` by group of jars.
    """
    if spark is None:
        yield Fault(f"found no Spark with its jars: {REINSTALL}")
        return
    if spark.version != wanted:
        yield Fault(f"Spark in {spark.home} is {spark.version}, pinned {wanted}: {REINSTALL}")
    for coordinate in (c for group in ("spark", "s3", "hdfs") for c in groups[group]):
        organisation, artifact, version = coordinate.split(":")
        fits = [
            *_scala_of(artifact, spark),
            *_same(organisation == "org.apache.spark", version, wanted, "Spark"),
            *_same(organisation == "org.apache.hadoop", version, spark.hadoop, "Hadoop"),
            *_same_line(artifact, version, wanted),
        ]
        for reason in fits:
            yield Fault(f"{coordinate} is {reason}: correct pyproject.toml")
    for coordinate in groups["cassandra"]:
        version = coordinate.rpartition(":")[2]
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_CASSANDRA:
            yield Fault(f"{coordinate} has no storage-attached indexes: pin 5.0 or later")


def _scala_of(artifact: str, spark: SparkJars) -> Iterator[str]:
    found = re.search(r"_(2\.\d+)$", artifact)
    if found and found[1] != spark.scala:
        yield f"built for Scala {found[1]}, but Spark for {spark.scala}"


def _same(concerned: bool, version: str, wanted: str, of: str) -> Iterator[str]:
    if concerned and version != wanted:
        yield f"not of {of} {wanted}"


def _same_line(artifact: str, version: str, wanted: str) -> Iterator[str]:
    line = wanted.rpartition(".")[0]
    if artifact.startswith("spark-cassandra-connector") and not version.startswith(f"{line}."):
        yield f"made for another Spark release line than {line}"
