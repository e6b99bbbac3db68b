"""Brings the files of npm packages that lie in this repository: `make vendor`."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from settings import PROJECT_ROOT

PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
VENDORED: list[dict[str, Any]] = PROJECT["tool"]["millrace"]["vendored"]


def fetch(wanted: dict[str, Any]) -> None:
    """Copy the wanted files of one package into its folder."""
    folder = PROJECT_ROOT / wanted["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        command = ["npm", "pack", "--silent", "--json", wanted["package"]]
        packed = subprocess.run(command, cwd=place, check=True, capture_output=True, text=True)
        name = json.loads(packed.stdout)[0]["filename"]
        with tarfile.open(Path(place) / name) as archive:
            for file in wanted["files"]:
                content = archive.extractfile(f"package/{file}")
                assert content is not None, file
                (folder / Path(file).name).write_bytes(content.read())


def main() -> int:
    """Bring all packages at the pinned versions; gives the exit code."""
    for wanted in VENDORED:
        sys.stdout.write(f"vendor: {wanted['package']}\n")
        fetch(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
