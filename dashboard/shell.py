"""What all pages share: their frame, and pieces that follow or renew themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dashboard.kept import Kept, Value
from dashboard.latest import Latest
from dashboard.live import LiveSource
from dashboard.responses import Html, as_bytes
from dashboard.source import Chart, Declared, LedgerHistory
from dashboard.templating import templates
from dashboard.views import view_named
from errors import MillraceError
from spark_jobs.aggregates import Aggregate

# The script of the pages sends these events: every two seconds, and every ten.
OFTEN, SELDOM = "tick from:body", "slow from:body"
# A query's parameters that belong to a piece, not to what is asked.
OF_PIECES: Final = ("part", "seen")


class Shell:
    """Makes pages of what a source gives."""

    def __init__(self, source: LiveSource) -> None:
        self.source, self.latest, self.templates = source, Latest(source.overview), templates()
        self._kept = Kept()

    def declared(self, name: str) -> Declared | None:
        """The pipeline of this name, or that has a part of this name."""
        every = self.source.declared.values()
        return next((each for each in every if name in (each.name, *each.parts)), None)

    def chart(self, pipeline: str, aggregate: Aggregate, measure: str) -> Chart:
        """A measure of an aggregate, read again once the pipeline has a new batch."""
        key = _chart_key(aggregate, measure)
        return self._read(key, pipeline, lambda: self.source.chart(aggregate, measure))

    def known_chart(self, aggregate: Aggregate, measure: str) -> Chart | None:
        """What was last seen of it; None if nothing was."""
        known: Chart | None = self._kept.known(_chart_key(aggregate, measure))
        return known

    def history(self, pipeline: str) -> LedgerHistory:
        """The ledger over time, read again once there is a new batch."""
        return self._read(("history", pipeline), pipeline, lambda: self.source.history(pipeline))

    def known_history(self, pipeline: str) -> LedgerHistory | None:
        """What was last seen of it; None if nothing was."""
        known: LedgerHistory | None = self._kept.known(("history", pipeline))
        return known

    def _read(self, key: Hashable, pipeline: str, read: Callable[[], Value]) -> Value:
        view = view_named(pipeline, self.latest.get(0))
        last = view.last_batch if view else None
        state = (view.counts.read, last.batch_id) if view and last else None
        return self._kept.get(key, state, read)

    def render(self, template: str, values: Mapping[str, Any]) -> Markup:
        """What a template makes of values, which it escapes."""
        return Markup(self.templates.get_template(template).render(values))  # noqa: S704

    def page(self, request: Request, template: str, status: int = 200, /, **values: Any) -> Html:
        """A whole page."""
        path = address_of(request)
        data = "/api/overview" if path == "/" else f"/api{path}"
        return Html(self.render(template, {"traced": "", "data_path": data, **values}), status)

    def message(self, request: Request, status: int, title: str, text: str) -> Response:
        """A page that says what is wrong and what to do."""
        values = {"section": "", "title": title, "text": text, "data_path": ""}
        return self.page(request, "message.html", status, **values)

    def later(self, request: Request, text: str) -> Markup:
        """A piece that is asked for once the page is there, as a store may take its time."""
        path = address_of(request)
        body = self.render("parts/looking.html", {"text": text, "data_path": f"/api{path}"})
        asked = f"{path}{'&' if '?' in path else '?'}part=found"
        return self.follows("found", asked, body, is_live=False)

    def follows(self, name: str, path: str, body: str, *, is_live: bool = True) -> Markup:
        """A piece that the browser asks for at once; until it comes, `body` is shown.

        A live one is asked for again if no answer came, and then renews itself.
        """
        trigger = f"load, {SELDOM}" if is_live else "load"
        values = {"name": name, "path": path, "trigger": trigger, "body": body}
        return self.render("live.html", values | {"is_live": is_live})

    def piece(self, template: str, **values: Any) -> Html:
        """A piece that comes once."""
        return Html(self.render(f"parts/{template}.html", values))

    def live(
        self, template: str, path: str, values: Mapping[str, Any], when: str = OFTEN, **query: str
    ) -> tuple[str, Markup]:
        """A piece that asks `path` for itself again: a hash of what it shows, and its HTML.

        The template is one of `parts`; `id` among its values is the element's.
        """
        body = self.render(f"parts/{template}.html", values)
        seen = hashlib.sha256(as_bytes(body)).hexdigest()[:16]
        asked = f"{path}?{urlencode({'part': template, **query, 'seen': seen})}"
        name = values.get("id", template)
        frame = {"name": name, "path": asked, "trigger": when, "body": body, "is_live": True}
        return seen, self.render("live.html", frame)


def _chart_key(aggregate: Aggregate, measure: str) -> Hashable:
    return "chart", aggregate.name, measure


def tried(read: Callable[[], Value]) -> tuple[Value | None, str | None]:
    """What could be read, or why it could not, in words for people."""
    try:
        return read(), None
    except MillraceError as error:
        return None, str(error)


def changed(request: Request, part: tuple[str, Markup]) -> Response:
    """The piece; nothing if the browser shows the same."""
    seen, body = part
    if request.query_params.get("seen") == seen:
        return Response(status_code=204)
    return Html(body)


def address_of(request: Request) -> str:
    """Path and query of a page, without what only its pieces have."""
    given = [each for each in request.query_params.multi_items() if each[0] not in OF_PIECES]
    # Escaped again: an id may look like an escape.
    return quote(request.scope["path"]) + (f"?{urlencode(given)}" if given else "")
