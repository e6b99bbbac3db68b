"""Answers that can hold any text: records may have what is no valid Unicode."""

from __future__ import annotations

import json
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
    """Data in JSON's types (`as_json`); what is not ASCII is escaped."""

    def render(self, content: Any) -> bytes:
        """The bytes of it."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
