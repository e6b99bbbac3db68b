"""The templates of the pages, and how they write values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dashboard import figures
from operations.masking import read, written
from operations.overview.as_json import as_json

FOLDER: Final = Path(__file__).resolve().parent
STATIC: Final = FOLDER / "static"
CODE: Final = re.compile(r"`([^`]+)`")


@cache
def templates() -> Environment:
    """The environment of all templates."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Callable[..., Any]] = {
        "number": figures.number,
        "rate": figures.rate,
        "seconds": figures.seconds,
        "moment": figures.moment,
        "iso": lambda value: figures.in_utc(value).isoformat(timespec="milliseconds"),
        "instant": lambda seconds: datetime.fromtimestamp(seconds, UTC),
        "cell": cell,
        "record": _record,
        "prose": _prose,
        "urlencode": in_address,
    }
    environment.filters |= filters
    # Lines of a chart are in the order of their size.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return environment


def cell(value: Any) -> str:
    """A value of a table."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return figures.moment(value)
    known = as_json(value)
    return json.dumps(known, ensure_ascii=False) if isinstance(known, dict | list) else str(known)


def _record(value: str) -> str:
    """A JSON object in lines; any other text as it is."""
    try:
        return written(read(value), indent=2)
    except ValueError:
        return value


def _prose(sentence: str) -> Markup:
    """A sentence in which names between backticks are code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 - escaped


def in_address(value: Any) -> str:
    """A path, or the parameters of a query that have a value."""
    # What is no valid Unicode leads nowhere, but does no harm.
    if isinstance(value, dict):
        known = {name: each for name, each in value.items() if each not in (None, "")}
        return urlencode(known, errors="backslashreplace")
    return quote(str(value), safe="/", errors="backslashreplace")
