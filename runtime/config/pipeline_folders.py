"""Folders of users' pipelines: their names, and which exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

# A name of a folder, and so of a topic, a keyspace, a setting and a Python module.
PIPELINE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
DECLARATION: Final = "pipeline.py"
# The pipelines that come with the platform, in the order in which commands list them.
BUILT_IN: Final = ("tickets", "profiles", "customers")


def pipeline_folders(path: Path) -> tuple[str, ...]:
    """Names of the folders with a declaration, in order; those with an unusable name are left out.

    `millrace check` names the latter.
    """
    if not path.is_dir():
        return ()
    found = (each.name for each in path.iterdir() if (each / DECLARATION).is_file())
    return tuple(sorted(name for name in found if PIPELINE_NAME.fullmatch(name)))
