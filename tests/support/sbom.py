"""`make sbom`: everything that the image holds, as CycloneDX JSON.

Python packages are the pins of requirements.lock for the image's Python, with the licences that
pip finds here; jars, as published, come from Spark's folder and the groups that the image
downloads; web files from the folders of the dashboard that pyproject.toml names; bases from the
Dockerfile. The same versions give the same file, whatever Python makes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyspark
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from runtime.jars import ensure_jars, folder
from runtime.versions import pinned
from settings import PROJECT_ROOT, load_settings
from tests.support.containers import DOCKERFILE, base_images
from tests.support.image import locked_pins
from tests.support.vendored import VENDORED

OUTPUT = PROJECT_ROOT / "output" / "sbom.cdx.json"
# As in the Dockerfile.
GROUPS = ("spark", "s3")
LONGEST_LICENCE = 60
# For jars that neither Maven nor a pin names.
CLASSIFIERS = r"(?:linux|osx|windows)-\w+|shaded(?:-protobuf)?|core|native|tests|jdk\d+"


def image_markers() -> dict[str, str]:
    """The markers of environments as the Python of the image answers them."""
    (version,) = re.findall(r"^FROM python:([\d.]+)-\S+ AS packages$", DOCKERFILE.read_text(), re.M)
    return {
        "implementation_name": "cpython",
        "implementation_version": version,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": version,
        "python_version": version.rpartition(".")[0],
        "sys_platform": "linux",
    }


def python_packages() -> Iterator[Component]:
    """Packages of the image, with what pip knows of them here."""
    command = [sys.executable, "-m", "pip", "inspect", "--local"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = {}
    for each in json.loads(said.stdout)["installed"]:
        metadata = each["metadata"]
        found[re.sub(r"[-_.]+", "-", metadata["name"]).lower()] = metadata
    for pin in locked_pins(image_markers()):
        metadata = found.get(pin.name)
        # Another Python has another version, of the same licence.
        is_for_this_python = pin.marker is None or pin.marker.evaluate()
        if metadata is None or (
            is_for_this_python and not pin.specifier.contains(metadata["version"])
        ):
            sys.exit(f"sbom: {pin} is locked and not installed; `make setup-dev` installs it")
        (version,) = (each.version for each in pin.specifier)
        yield _package(pin.name, version, metadata)


def _package(name: str, version: str, metadata: dict[str, Any]) -> Component:
    licence = metadata.get("license_expression") or metadata.get("license") or ""
    known = licence and len(licence) <= LONGEST_LICENCE and "\n" not in licence
    return Component(
        name=name,
        version=version,
        licenses=[LicenseFactory().make_from_string(licence)] if known else [],
        purl=PackageURL("pypi", None, name, version),
        bom_ref=f"pypi/{name}",
    )


def web_files() -> Iterator[Component]:
    """Packages of npm whose files the dashboard serves; those of tests are not in the image."""
    for vendored in VENDORED:
        if not vendored["folder"].startswith("dashboard/"):
            continue
        place = PROJECT_ROOT / vendored["folder"] / "package.json"
        package = json.loads(place.read_text())
        scope, _, name = package["name"].rpartition("/")
        yield Component(
            name=name,
            group=scope or None,
            version=package["version"],
            licenses=[LicenseFactory().make_from_string(package["license"])],
            purl=PackageURL("npm", scope or None, name, package["version"]),
            bom_ref=f"npm/{package['name']}",
        )


def jars(folders: Iterable[Path]) -> Iterator[Component]:
    """Jars, each content once."""
    pins = [pin.split(":") for group in GROUPS for pin in pinned("jars", group)]
    found = {}
    for path in sorted(path for place in folders for path in place.glob("*.jar")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[digest] = _jar(path, digest, pins)
    yield from found.values()


def _jar(path: Path, digest: str, pins: list[list[str]]) -> Component:
    group, name, version, classifier = _coordinates(path, pins)
    qualifiers = {"classifier": classifier} if classifier else None
    return Component(
        name=name,
        group=group,
        version=version,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        purl=PackageURL("maven", group, name, version, qualifiers) if group else None,
        bom_ref=f"jar/{path.name}/{digest[:8]}",
    )


def _coordinates(path: Path, pins: list[list[str]]) -> tuple[str | None, str, str | None, str]:
    """Group, name, version and classifier: as Maven or our pins say, else from the file's name.

    Of Maven's files in a jar only the one with the name of the jar is its own; others are those of
    libraries within it.
    """
    for group, name, version in [*_maven_files(path), *pins]:
        if path.stem == f"{name}-{version}":
            return group, name, version, ""
        if path.stem.startswith(f"{name}-{version}-"):
            return group, name, version, path.stem.removeprefix(f"{name}-{version}-")
    stem, classifier = re.fullmatch(rf"(.+?)(?:-({CLASSIFIERS}))?", path.stem).groups("")  # type: ignore[union-attr]
    # `spark-sql-kafka-0-10_2.12-3.5.7`, `zstd-jni-1.5.5-4`, `javax.inject-1`.
    found = re.fullmatch(r"(.+)-(\d+\..+)", stem) or re.fullmatch(r"(.+)-(\d.*)", stem)
    name, version = found.groups() if found else (stem, None)
    return None, name, version, classifier


def _maven_files(path: Path) -> Iterator[list[str]]:
    """Group, name and version of each `pom.properties` in a jar."""
    with zipfile.ZipFile(path) as jar:
        for entry in jar.namelist():
            if re.fullmatch(r"META-INF/maven/[^/]+/[^/]+/pom\.properties", entry):
                text = jar.read(entry).decode()
                found = dict(re.findall(r"^(groupId|artifactId|version)=(\S+)", text, re.MULTILINE))
                yield [found.get(each, "") for each in ("groupId", "artifactId", "version")]


def bases() -> Iterator[Component]:
    """The images that the Dockerfile begins with."""
    for name, _, tag in sorted(each.partition(":") for each in base_images()):
        yield Component(
            name=name, version=tag, type=ComponentType.CONTAINER, bom_ref=f"image/{name}"
        )


def sbom(components: Iterable[Component], version: str, seconds: int) -> str:
    """The document, with an identity that follows from its content."""
    image = Component(
        name="millrace", version=version, type=ComponentType.CONTAINER, bom_ref="millrace"
    )
    made = datetime.fromtimestamp(seconds, UTC)
    parts = list(components)
    bom = Bom(components=parts, metadata=BomMetaData(component=image, timestamp=made))
    bom.register_dependency(image, parts)
    bom.serial_number = uuid.UUID(int=0)
    content = JsonV1Dot6(bom).output_as_string()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, content)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def main() -> None:
    """Write the file and say how much is in it."""
    settings = load_settings()
    ensure_jars(settings, GROUPS)
    folders = [Path(pyspark.__file__).parent / "jars", *(folder(settings, g) for g in GROUPS)]
    packages, libraries, web = list(python_packages()), list(jars(folders)), list(web_files())
    text = DOCKERFILE.read_text()
    (version,) = re.findall(r'image\.version="(.+)"', text)
    (seconds,) = re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", text, re.MULTILINE)
    output = Path(os.environ.get("ARG_OUTPUT") or OUTPUT)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(sbom([*packages, *libraries, *web, *bases()], version, int(seconds)))
    sys.stdout.write(
        f"sbom: {len(packages)} Python packages, {len(libraries)} jars and {len(web)} packages"
        f" of npm in `{output}`\n"
    )


if __name__ == "__main__":
    main()
