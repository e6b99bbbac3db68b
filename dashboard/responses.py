"""Answers that can hold any text: records may have what is no valid Unicode."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse


def as_bytes(text: str) -> bytes:
    r"""UTF-8, with lone surrogates as escapes (`\ud800`)."""
    return text.encode("utf-8", "backslashreplace")


class Html(HTMLResponse):
    """A page or a piece of one."""

    def render(self, content: str) -> bytes:
        """The bytes of it."""
        return as_bytes(content)


class Json(JSONResponse):
    """Data; what is not ASCII is escaped, and infinity, which JSON lacks, is text."""

    def render(self, content: Any) -> bytes:
        """The bytes of it."""
        try:
            return _dumped(content)
        except ValueError:
            return _dumped(_finite(content))


def _dumped(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(each) for name, each in content.items()}
    if isinstance(content, list):
        return [_finite(each) for each in content]
    return str(content) if isinstance(content, float) and not math.isfinite(content) else content
