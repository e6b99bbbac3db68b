"""What `spark-defaults.conf` says: Spark's configuration that no setting changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

DEFAULTS_FILE: Final = Path(__file__).with_name("spark-defaults.conf")


@cache
def _properties() -> dict[str, str]:
    lines = (line.strip() for line in DEFAULTS_FILE.read_text(encoding="utf-8").splitlines())
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {key: value for key, value in pairs}


def spark_defaults() -> dict[str, str]:
    """The file's properties as Spark reads them."""
    return dict(_properties())
