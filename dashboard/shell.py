"""What all pages share: their frame, and pieces that follow once the page is there."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dashboard.kept import Kept
from dashboard.latest import Latest
from dashboard.responses import Html
from dashboard.source import Chart, LedgerHistory, Source
from dashboard.templating import templates
from dashboard.views import view_named
from errors import MillraceError
from spark_jobs.aggregates import Aggregate


class Shell:
    """Makes pages of what a source gives."""

    def __init__(self, source: Source, latest: Latest) -> None:
        """Show what this source gives."""
        self.source, self.latest, self.templates = source, latest, templates()
        self._kept = Kept()

    def chart(self, pipeline: str, aggregate: Aggregate, measure: str) -> Chart:
        """A measure of an aggregate, read again once the pipeline has a new batch."""
        key, state = ("chart", aggregate.name, measure), self._state(pipeline)
        return self._kept.get(key, state, lambda: self.source.chart(aggregate, measure))

    def history(self, pipeline: str) -> LedgerHistory:
        """The ledger over time, read again once there is a new batch."""
        key, state = ("history", pipeline), self._state(pipeline)
        return self._kept.get(key, state, lambda: self.source.history(pipeline))

    def _state(self, pipeline: str) -> Hashable:
        view = view_named(pipeline, self.latest.get(0))
        return (view.counts.read, view.last_batch.batch_id) if view and view.last_batch else None

    def page(self, request: Request, template: str, status: int = 200, /, **values: Any) -> Html:
        """A whole page."""
        path = request.url.path
        data = "/api/overview" if path == "/" else f"/api{path}"
        values = {"traced": "", "data_path": data, "path": path, **values}
        return Html(self.templates.get_template(template).render(values), status)

    def message(self, request: Request, status: int, title: str, text: str) -> Response:
        """A page that says what is wrong and what to do."""
        links = [("/", "Overview")]
        return self.page(
            request, "message.html", status, section="", title=title, text=text, links=links
        )

    def later(self, request: Request, text: str) -> Markup:
        """A piece that is asked for once the page is there, as a store may take its time."""
        path = request.url.path
        query = urlencode([*request.query_params.multi_items(), ("part", "found")])
        values = {"text": text, "data_path": f"/api{path}"}
        body = self.templates.get_template("parts/looking.html").render(values)
        return self.follows("found", f"{path}?{query}", body)

    def follows(self, name: str, path: str, body: str) -> Markup:
        """A piece that the browser asks for at once; until it comes, `body` is shown."""
        return Markup(  # noqa: S704 - rendered by a template, which escapes
            self.templates.get_template("live.html").render(
                name=name,
                path=path,
                trigger="load",
                body=Markup(body),  # noqa: S704 - likewise
            )
        )

    def piece(self, template: str, values: dict[str, Any], read: Callable[[], None]) -> Html:
        """A piece with what a store gives, or with why it gives nothing."""
        values["trouble"] = None
        try:
            read()
        except MillraceError as error:
            values["trouble"] = str(error)
        return Html(self.templates.get_template(f"parts/{template}.html").render(values))
