"""Reads `spark-defaults.conf`: the Spark configuration that no setting changes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

SEPARATOR: Final = re.compile(r"\s*[=:\s]\s*")
DEFAULTS_FILE: Final = Path(__file__).parents[1] / "spark-defaults.conf"


@cache
def _defaults() -> dict[str, str]:
    return properties(DEFAULTS_FILE)


def properties(path: Path) -> dict[str, str]:
    """The properties in a file: each a name, then blanks, `=` or `:`, then a value."""
    lines = (line.strip() for line in path.read_text("utf-8", "replace").splitlines())
    parts = (SEPARATOR.split(line, 1) for line in lines if line and not line.startswith("#"))
    return {key: "".join(value) for key, *value in parts}


def spark_defaults() -> dict[str, str]:
    """The properties of `spark-defaults.conf`, as Spark reads them."""
    return dict(_defaults())
