"""Pieces of pages that renew themselves, and are sent again only when they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dashboard.responses import Html, as_bytes

# The script of the pages sends these events: every two seconds, and every ten.
OFTEN, SELDOM = "tick from:body", "slow from:body"
SOON = "load delay:400ms"


def live_part(
    environment: Environment,
    template: str,
    path: str,
    values: Mapping[str, Any],
    trigger: str = OFTEN,
    **query: str,
) -> tuple[str, Markup]:
    """A piece that asks for itself again: a hash of what it shows, and its HTML.

    Args:
        environment: Has the templates.
        template: In `parts`, without `.html`.
        path: Gives the piece, with the parameter `part`.
        values: What the template shows; `id` is the element's.
        trigger: When it is asked for again.
        query: More parameters.
    """
    body = environment.get_template(f"parts/{template}.html").render(values)
    seen = hashlib.sha256(as_bytes(body)).hexdigest()[:16]
    wrapper = environment.get_template("live.html").render(
        name=values.get("id", template),
        path=f"{path}?{urlencode({'part': template, **query, 'seen': seen})}",
        trigger=trigger,
        body=Markup(body),  # noqa: S704 - rendered by a template, which escapes
    )
    return seen, Markup(wrapper)  # noqa: S704


def changed(request: Request, part: tuple[str, Markup]) -> Response:
    """The piece; nothing if the browser shows the same."""
    seen, body = part
    if request.query_params.get("seen") == seen:
        return Response(status_code=204)
    return Html(body)
