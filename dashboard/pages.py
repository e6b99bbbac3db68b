"""The pages for people. Each answers at once: what takes longer follows by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard import views
from dashboard.figures import in_utc
from dashboard.latest import Latest
from dashboard.live_parts import OFTEN, SELDOM, SOON, changed, live_part
from dashboard.source import Chart, Declared, Source
from dashboard.templating import templates
from errors import MillraceError
from runtime import remedies
from spark_jobs.aggregates import Aggregate

# A page waits so long for a first overview; afterwards it asks again by itself.
PATIENCE_SECONDS: Final = 0.15


class Pages:
    """Answers requests for pages and their pieces."""

    def __init__(self, source: Source, latest: Latest) -> None:
        """Show what this source gives."""
        self.source, self.latest, self.templates = source, latest, templates()

    def overview(self, request: Request) -> Response:
        """The whole platform at a glance."""
        part = self._overview_part()
        if "part" in request.query_params:
            return changed(request, part)
        return self._page(request, "page.html", title="Overview", section="/", parts=[part[1]])

    def pipeline(self, request: Request) -> Response:
        """One pipeline: the way of its messages, batches, aggregates."""
        name = request.path_params["name"]
        declared = self.source.declared.get(name.partition("-")[0])
        if declared is None:
            return self._unknown_pipeline(request, name)
        match request.query_params.get("part"):
            case "pipeline":
                return changed(request, self._pipeline_part(name))
            case "history":
                return changed(request, self._history_part(name))
            case "chart":
                return self._chart(request, name, declared)
        parts = [self._pipeline_part(name)[1], self._history_part(name)[1]]
        # Aggregates ask their store, so each comes when it is ready.
        wrapper = self.templates.get_template("live.html")
        body = Markup('<div class="waiting aggregate" aria-hidden="true"></div>')
        later = [
            Markup(  # noqa: S704 - rendered by a template, which escapes
                wrapper.render(
                    name=f"of-{each.name}",
                    path=f"/pipelines/{name}?part=chart&aggregate={each.name}",
                    trigger="load",
                    body=body,
                )
            )
            for each in declared.aggregates
        ]
        return self._page(
            request, "pipeline.html", title=name, section="", parts=parts, aggregates=later
        )

    def records(self, request: Request) -> Response:
        """The tables whose rows can be looked at."""
        groups = defaultdict(list)
        for table in self.source.tables.values():
            groups[table.pipeline].append(table)
        return self._page(request, "records.html", section="/records", groups=groups)

    def table(self, request: Request) -> Response:
        """Rows of one partition of a table, or the keys of partitions."""
        place = request.path_params["place"]
        table = self.source.tables.get(place)
        if table is None:
            near = remedies.nearest(place, self.source.tables)
            text = f"There is no table `{place}` of an enabled pipeline.{near}"
            return self.message(request, 404, "No such table", text)
        names = [column.name for column in table.key]
        key = {n: request.query_params[n] for n in names if request.query_params.get(n)}
        if "part" not in request.query_params:
            later = self._later(request, "Looking it up in Cassandra…")
            return self._page(
                request, "table.html", section="/records", table=table, key=key, later=later
            )
        page = request.query_params.get("page")
        values: dict[str, Any] = {
            "found": None,
            "listed": [],
            "more_partitions": False,
            "columns": [],
        }
        values |= {"table": table, "key": key, "page": page, "ids": self._ids(table.pipeline)}

        def read() -> None:
            if key:
                values["found"] = found = self.source.rows(table, key, page)
                columns = [*found.rows[0]] if found.rows else []
                # All rows have the values of the key, which stand in the form.
                values["columns"] = [each for each in columns if each not in key]
            else:
                listed, values["more_partitions"] = self.source.partitions(table)
                values["listed"] = [_partition(each) for each in listed]

        return self._piece("rows", values, read)

    def dead_letters(self, request: Request) -> Response:
        """Dead letters, masked."""
        given = {n: request.query_params.get(n) or None for n in ("pipeline", "reason", "page")}
        if "part" not in request.query_params:
            overview = self.latest.get(0).overview
            views = overview.pipelines if overview else ()
            return self._page(
                request,
                "dead_letters.html",
                section="/dead-letters",
                reasons=sorted({reason for view in views for reason in view.dead_letters}),
                pipelines=[*self.source.declared],
                later=self._later(request, "Reading dead letters…"),
                **given,
            )
        values: dict[str, Any] = {"found": None, **given}
        return self._piece(
            "letters", values, lambda: values.update(found=self.source.dead_letters(**given))
        )

    def trace(self, request: Request) -> Response:
        """The way of one record."""
        asked = request.path_params["asked"]
        if "part" not in request.query_params:
            text = "Looking for it on the topics and in the stores…"
            later = self._later(request, text, heading=asked)
            return self._page(request, "trace.html", section="", traced=asked, later=later)
        values: dict[str, Any] = {"asked": asked, "found": None}
        return self._piece("trace", values, lambda: values.update(found=self.source.trace(asked)))

    def find(self, request: Request) -> Response:
        """The page of the id that was typed."""
        wanted = request.query_params.get("id", "").strip()
        filters = self.templates.filters
        return RedirectResponse(f"/trace/{filters['urlencode'](wanted)}" if wanted else "/", 303)

    def message(self, request: Request, status: int, title: str, text: str) -> Response:
        """A page that says what is wrong and what to do."""
        links = [("/", "Overview")]
        return self._page(
            request, "message.html", status, section="", title=title, text=text, links=links
        )

    def _page(
        self, request: Request, template: str, status: int = 200, /, **values: Any
    ) -> HTMLResponse:
        path = request.url.path
        data = "/api/overview" if path == "/" else f"/api{path}"
        values = {"traced": "", "data_path": data, "path": path, **values}
        return HTMLResponse(self.templates.get_template(template).render(values), status)

    def _later(self, request: Request, text: str, heading: str = "") -> Markup:
        """A piece that is asked for once the page is there, as a store may take its time."""
        path = request.url.path
        query = urlencode([*request.query_params.multi_items(), ("part", "found")])
        values = {"text": text, "heading": heading, "data_path": f"/api{path}"}
        body = Markup(self.templates.get_template("parts/looking.html").render(values))  # noqa: S704
        wrapper = self.templates.get_template("live.html")
        return Markup(  # noqa: S704 - rendered by a template, which escapes
            wrapper.render(name="found", path=f"{path}?{query}", trigger="load", body=body)
        )

    def _piece(
        self, template: str, values: dict[str, Any], read: Callable[[], None]
    ) -> HTMLResponse:
        """A piece with what a store gives, or with why it gives nothing."""
        values["trouble"] = None
        try:
            read()
        except MillraceError as error:
            values["trouble"] = str(error)
        return HTMLResponse(self.templates.get_template(f"parts/{template}.html").render(values))

    def _overview_part(self) -> tuple[str, Markup]:
        seen = self.latest.get(PATIENCE_SECONDS)
        when = OFTEN if seen.overview else f"{SOON}, {OFTEN}"
        values = views.overview_values(seen)
        return live_part(self.templates, "overview", "/", values, when)

    def _pipeline_part(self, name: str) -> tuple[str, Markup]:
        seen = self.latest.get(PATIENCE_SECONDS)
        when = OFTEN if seen.overview else f"{SOON}, {OFTEN}"
        values = views.pipeline_values(name, seen)
        return live_part(self.templates, "pipeline", f"/pipelines/{name}", values, when)

    def _history_part(self, name: str) -> tuple[str, Markup]:
        values = views.history_values(views.view_named(name, self.latest.get(0)))
        return live_part(self.templates, "history", f"/pipelines/{name}", values)

    def _chart(self, request: Request, name: str, declared: Declared) -> Response:
        aggregate = declared.aggregate(request.query_params.get("aggregate", ""))
        if aggregate is None:
            return Response(status_code=404)
        measure = chosen_measure(aggregate, request.query_params.get("measure"))
        drawn: Chart | None = None
        trouble = None
        try:
            drawn = self.source.chart(aggregate, measure)
        except MillraceError as error:
            trouble = str(error)
        path = f"/pipelines/{name}"
        base = f"{path}?part=chart&aggregate={aggregate.name}"
        values = views.chart_values(aggregate, measure, base, drawn) | {"trouble": trouble}
        names = {"aggregate": aggregate.name, "measure": measure}
        return changed(request, live_part(self.templates, "chart", path, values, SELDOM, **names))

    def _unknown_pipeline(self, request: Request, name: str) -> Response:
        known = self.source.declared
        text = (
            f"There is no enabled pipeline `{name}`.{remedies.nearest(name, known)}"
            f" There are: {', '.join(known)}."
        )
        return self.message(request, 404, "No such pipeline", text)

    def _ids(self, pipeline: str) -> tuple[str, ...]:
        declared = self.source.declared.get(pipeline)
        return declared.ids if declared else ()


def chosen_measure(aggregate: Aggregate, asked: str | None) -> str:
    """The measure that was asked for, or the first."""
    return asked if asked and asked in aggregate.measures else next(iter(aggregate.measures))


def _partition(key: dict[str, Any]) -> dict[str, Any]:
    text = templates().filters["cell"]
    return {
        "link": {name: _as_given(value) for name, value in key.items()},
        "text": " · ".join(text(value) for value in key.values()),
    }


def _as_given(value: Any) -> str:
    """A key's value as a form gives it; times from Cassandra are in UTC."""
    return in_utc(value).isoformat() if isinstance(value, datetime) else str(value)
