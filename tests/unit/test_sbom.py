"""`make sbom`: what the image holds, in the form of CycloneDX."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pyspark
import pytest
from cyclonedx.model.component import Component
from cyclonedx.model.license import LicenseExpression
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging import markers
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.support import sbom
from tests.support.image import locked_pins


def licences(component: Component) -> list[str]:
    """Identifiers of SPDX, or expressions of them."""
    return [
        each.value if isinstance(each, LicenseExpression) else str(each.id)
        for each in component.licenses
    ]


def jar(path: Path, files: dict[str, str]) -> str:
    """A jar with these files; gives its digest."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def maven(group: str, name: str, version: str) -> dict[str, str]:
    """The file by which Maven names what it has built."""
    text = f"#Created by Apache Maven\ngroupId={group}\nartifactId={name}\nversion={version}\n"
    return {f"META-INF/maven/{group}/{name}/pom.properties": text}


def test_document_keeps_to_the_schema_and_is_the_same_each_time(tmp_path: Path) -> None:
    jar(tmp_path / "a-1.0.jar", {"A.class": ""})
    parts = [*sbom.python_packages(), *sbom.jars([tmp_path]), *sbom.web_files()]
    parts += sbom.bases()
    text = sbom.sbom(parts, "0.1.0", 1795824000)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert sbom.sbom(reversed(parts), "0.1.0", 1795824000) == text
    assert sbom.sbom(parts[1:], "0.1.0", 1795824000) != text
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == "millrace"
    assert document["metadata"]["timestamp"] == "2026-11-28T00:00:00+00:00"


def test_python_packages_are_those_of_the_image() -> None:
    found = {each.name: each for each in sbom.python_packages()}

    assert found["pyspark"].version == "3.5.7"
    assert str(found["pyspark"].purl) == "pkg:pypi/pyspark@3.5.7"
    # Of the tools of tests, and of the embedded stack.
    assert not {"pytest", "mypy", "secantusdb", "pip"} & {*found}
    assert len(found) > 40


def test_packages_are_those_of_the_python_of_the_image_whichever_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = [
        {"metadata": {"name": "numpy", "version": "2.5.5", "license_expression": "BSD-3-Clause"}}
    ]
    said = json.dumps({"installed": installed})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    lock = [
        Requirement("numpy==2.4.6 ; python_full_version < '3.12'"),
        Requirement("numpy==2.5.5 ; python_full_version >= '3.12'"),
        Requirement("tzdata==2026.6 ; sys_platform == 'win32'"),
    ]
    newer = {**default_environment(), "python_version": "3.12", "python_full_version": "3.12.9"}
    monkeypatch.setattr(markers, "default_environment", lambda: dict(newer))
    monkeypatch.setattr(
        sbom,
        "locked_pins",
        lambda given: [pin for pin in lock if pin.marker and pin.marker.evaluate(given)],
    )

    (package,) = sbom.python_packages()

    assert str(package.purl) == "pkg:pypi/numpy@2.4.6"
    assert licences(package) == ["BSD-3-Clause"]


def test_markers_are_those_of_the_dockerfiles_python() -> None:
    found = sbom.image_markers()

    assert (found["python_version"], found["python_full_version"]) == ("3.11", "3.11.15")
    assert set(found) <= set(default_environment())
    assert {pin.name for pin in locked_pins(found)} >= {"numpy", "deprecated"}
    assert "tzdata" not in {pin.name for pin in locked_pins(found)}


def test_web_files_of_the_dashboard_are_named_with_version_and_licence() -> None:
    found = {str(each.purl): licences(each) for each in sbom.web_files()}

    # axe-core is for tests: it is not in the image.
    assert found == {
        "pkg:npm/htmx.org@2.0.11": ["0BSD"],
        "pkg:npm/uplot@1.6.32": ["MIT"],
        "pkg:npm/%40fontsource/ibm-plex-sans@5.3.0": ["OFL-1.1"],
    }


def test_jars_have_their_digest_and_their_coordinates(tmp_path: Path) -> None:
    own = jar(tmp_path / "s" / "lib_2.12-1.4.2.jar", maven("org.acme", "lib_2.12", "1.4.2"))
    pinned = jar(tmp_path / "s" / "postgresql-42.7.14.jar", maven("other", "x", "1.0"))
    unknown = jar(tmp_path / "s" / "old-lib-0.9-b1.jar", {"Old.class": ""})
    # Spark's folder has it too.
    jar(tmp_path / "t" / "old-lib-0.9-b1.jar", {"Old.class": ""})

    found = {each.name: each for each in sbom.jars([tmp_path / "s", tmp_path / "t"])}

    assert len([*sbom.jars([tmp_path / "s", tmp_path / "t"])]) == 3
    assert str(found["lib_2.12"].purl) == "pkg:maven/org.acme/lib_2.12@1.4.2"
    assert str(found["postgresql"].purl) == "pkg:maven/org.postgresql/postgresql@42.7.14"
    assert (found["old-lib"].version, found["old-lib"].purl) == ("0.9-b1", None)
    digests = {next(iter(each.hashes)).content for each in found.values()}
    assert digests == {own, pinned, unknown}


@pytest.mark.parametrize(
    ("file", "group", "name", "version", "purl"),
    [
        (
            "log4j-1.2-api-2.20.0.jar", "org.apache.logging.log4j", "log4j-1.2-api", "2.20.0",
            "pkg:maven/org.apache.logging.log4j/log4j-1.2-api@2.20.0",
        ),
        (
            "netty-transport-native-epoll-4.1.96.Final-linux-x86_64.jar",
            "io.netty", "netty-transport-native-epoll", "4.1.96.Final",
            "pkg:maven/io.netty/netty-transport-native-epoll@4.1.96.Final?classifier=linux-x86_64",
        ),
        (
            "orc-core-1.9.7-shaded-protobuf.jar", "org.apache.orc", "orc-core", "1.9.7",
            "pkg:maven/org.apache.orc/orc-core@1.9.7?classifier=shaded-protobuf",
        ),
        (
            "spark-sql-kafka-0-10_2.12-3.5.7.jar",
            "org.apache.spark", "spark-sql-kafka-0-10_2.12", "3.5.7",
            "pkg:maven/org.apache.spark/spark-sql-kafka-0-10_2.12@3.5.7",
        ),
        ("zstd-jni-1.5.5-4.jar", "", "zstd-jni", "1.5.5-4", None),
        ("javax.inject-1.jar", "", "javax.inject", "1", None),
        ("mystery.jar", "", "mystery", None, None),
    ],
)  # fmt: skip
def test_numbers_in_a_jars_name_are_no_version_and_a_platform_is_a_classifier(
    file: str, group: str, name: str, version: str | None, purl: str | None, tmp_path: Path
) -> None:
    # With Maven's own word for it, and with a library that it has within; then without.
    inner = maven("jline", "jline", "2.14.6")
    jar(tmp_path / "with" / file, inner | (maven(group, name, f"{version}") if group else {}))
    jar(tmp_path / "without" / file, inner)

    (named,) = sbom.jars([tmp_path / "with"])
    (unnamed,) = sbom.jars([tmp_path / "without"])

    assert (named.name, named.version) == (unnamed.name, unnamed.version) == (name, version)
    assert named.group == (group or None)
    assert (str(named.purl) if named.purl else None) == purl


def test_every_jar_of_spark_has_a_version_and_its_name_has_none() -> None:
    folder = Path(pyspark.__file__).parent / "jars"
    found = {each.name: each for each in sbom.jars([folder])}

    assert {found[name].version for name in ("scala-compiler", "scala-library")} == {"2.12.18"}
    assert {
        each.name for each in found.values() if not re.match(r"\d", each.version or "")
    } == set()
    ending = re.compile(r"-\d+(\.\d+)+")
    assert {name for name in found if ending.search(name)} == {"log4j-1.2-api", "hive-shims-0.23"}


def test_bases_are_named_with_their_versions() -> None:
    found = {each.name: each.version for each in sbom.bases()}

    assert found == {"eclipse-temurin": "17.0.20_8-jre-noble", "python": "3.11.15-slim-bookworm"}
