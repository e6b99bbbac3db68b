"""`make sbom`: what the image holds, in the form of CycloneDX."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.support import sbom


def jar(path: Path, *names: str) -> str:
    """A jar with these files; gives its digest."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), name)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_document_keeps_to_the_schema_and_is_the_same_each_time(tmp_path: Path) -> None:
    jar(tmp_path / "a-1.0.jar", "A.class")
    parts = [*sbom.python_packages(), *sbom.jars([tmp_path]), *sbom.bases()]
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


def test_jars_have_their_digest_and_their_coordinates(tmp_path: Path) -> None:
    own = jar(
        tmp_path / "s" / "lib_2.12-1.4.2.jar", "META-INF/maven/org.acme/lib_2.12/pom.properties"
    )
    pinned = jar(tmp_path / "s" / "postgresql-42.7.14.jar", "META-INF/maven/other/x/pom.properties")
    unknown = jar(tmp_path / "s" / "old-lib-0.9-b1.jar", "Old.class")
    # Spark's folder has it too.
    jar(tmp_path / "t" / "old-lib-0.9-b1.jar", "Old.class")

    found = {each.name: each for each in sbom.jars([tmp_path / "s", tmp_path / "t"])}

    assert len([*sbom.jars([tmp_path / "s", tmp_path / "t"])]) == 3
    assert str(found["lib_2.12"].purl) == "pkg:maven/org.acme/lib_2.12@1.4.2"
    assert str(found["postgresql"].purl) == "pkg:maven/org.postgresql/postgresql@42.7.14"
    assert (found["old-lib"].version, found["old-lib"].purl) == ("0.9-b1", None)
    digests = {next(iter(each.hashes)).content for each in found.values()}
    assert digests == {own, pinned, unknown}


def test_bases_are_named_with_their_versions() -> None:
    found = {each.name: each.version for each in sbom.bases()}

    assert found == {"eclipse-temurin": "17.0.20_8-jre-noble", "python": "3.11.15-slim-bookworm"}
