"""Packs this project's code into an archive for executors, which have no checkout.

The jobs run no Python of this project on executors: they use column functions, and `foreachBatch`
runs on the driver. Additions do (a sink's `foreachPartition`, a function typed into the shell), and
need this archive.
"""

from __future__ import annotations

import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runtime.files import write_whole
from settings import PROJECT_ROOT

# The date of every file, so that the same code gives the same archive.
LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
DIGEST_DIGITS: Final = 12


def archive_path(home: Path) -> Path:
    """The path of the present code's archive, which may not exist yet."""
    digest = hashlib.sha256(_packed()).hexdigest()[:DIGEST_DIGITS]
    return home / "spark" / f"millrace-{digest}.zip"


def code_archive(home: Path) -> Path:
    """The archive of the present code, written if it does not exist yet.

    Its name depends on the code, as executors of a running job may fetch theirs at any time.
    """
    path = archive_path(home)
    if not path.exists():
        write_whole(path, _packed())
    return path


def _packed() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in _files():
            entry = zipfile.ZipInfo(str(path.relative_to(PROJECT_ROOT)), LONG_AGO)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _files() -> Iterator[Path]:
    """The files of an installation: modules and package data."""
    with (PROJECT_ROOT / "pyproject.toml").open("rb") as file:
        setuptools = tomllib.load(file)["tool"]["setuptools"]
    for module in setuptools["py-modules"]:
        yield PROJECT_ROOT / f"{module}.py"
    patterns = ["*.py", *setuptools["package-data"]["*"]]
    for package in setuptools["packages"]:
        folder = PROJECT_ROOT / package.replace(".", "/")
        yield from sorted(path for pattern in patterns for path in folder.glob(pattern))
