"""The overview and the pages of pipelines. Each answers at once and renews itself."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dashboard import views
from dashboard.latest import Seen
from dashboard.shell import OFTEN, SELDOM, Shell, changed, tried
from dashboard.source import Declared
from runtime import remedies
from spark_jobs.aggregates import Aggregate

# A page waits so long for a first overview; afterwards it asks again by itself.
PATIENCE_SECONDS: Final = 0.15
SOON: Final = f"load delay:400ms, {OFTEN}"


class Pages:
    """Answers requests for these pages and their pieces."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def overview(self, request: Request) -> Response:
        """The whole platform at a glance."""
        seen = self.shell.latest.get(PATIENCE_SECONDS)
        part = self._seen_part("overview", "/", seen, views.overview_values(seen))
        if "part" in request.query_params:
            return changed(request, part)
        return self.shell.page(request, "page.html", title="Overview", section="/", parts=[part[1]])

    def pipeline(self, request: Request) -> Response:
        """One pipeline: the way of its messages, batches, aggregates."""
        name = request.path_params["name"]
        declared = self.shell.declared(name)
        if declared is None:
            return self._unknown_pipeline(request, name)
        path = f"/pipelines/{name}"
        match request.query_params.get("part"):
            case "pipeline":
                return changed(request, self._pipeline_part(declared, name))
            case "history":
                return changed(request, self._history_part(name))
            case "ledger":
                return self._ledger(request, name)
            case "chart":
                return self._chart(request, name, declared)
        ledger = self.shell.follows("ledger", f"{path}?part=ledger", "")
        # Aggregates ask their store, so each comes when it is ready.
        waiting = Markup('<div class="waiting aggregate" aria-hidden="true"></div>')
        charts = [
            self.shell.follows(f"of-{n}", f"{path}?part=chart&aggregate={n}", waiting)
            for n in (each.name for each in declared.aggregates)
        ]
        source = self.shell.source
        return self.shell.page(
            request,
            "pipeline.html",
            title=name,
            section="",
            parts=[self._pipeline_part(declared, name)[1], self._history_part(name)[1], ledger],
            aggregates=charts,
            hidden=declared.hidden,
            family=declared.name,
            tables=[table for table in source.tables.values() if table.pipeline == declared.name],
            others=[each for each in source.declared if each != declared.name],
        )

    def _seen_part(
        self, template: str, path: str, seen: Seen, values: views.Values
    ) -> tuple[str, Markup]:
        return self.shell.live(template, path, values, OFTEN if seen.overview else SOON)

    def _pipeline_part(self, declared: Declared, name: str) -> tuple[str, Markup]:
        seen = self.shell.latest.get(PATIENCE_SECONDS)
        values = views.pipeline_values(name, declared.name, seen)
        return self._seen_part("pipeline", f"/pipelines/{name}", seen, values)

    def _history_part(self, name: str) -> tuple[str, Markup]:
        values = views.history_values(views.view_named(name, self.shell.latest.get(0)))
        return self.shell.live("history", f"/pipelines/{name}", values)

    def _chart(self, request: Request, name: str, declared: Declared) -> Response:
        aggregate = declared.aggregate(request.query_params.get("aggregate", ""))
        if aggregate is None:
            return Response(status_code=404)
        measure = chosen_measure(aggregate, request.query_params.get("measure"))
        drawn, trouble = tried(lambda: self.shell.chart(name, aggregate, measure))
        if trouble:
            drawn = self.shell.known_chart(aggregate, measure)
        path = f"/pipelines/{name}"
        base = f"{path}?part=chart&aggregate={aggregate.name}"
        values = views.chart_values(aggregate, measure, base, drawn) | {"trouble": trouble}
        names = {"aggregate": aggregate.name, "measure": measure}
        return changed(request, self.shell.live("chart", path, values, SELDOM, **names))

    def _ledger(self, request: Request, name: str) -> Response:
        found, trouble = tried(lambda: self.shell.history(name))
        if trouble:
            found = self.shell.known_history(name)
        values = views.ledger_values(found) | {"trouble": trouble}
        return changed(request, self.shell.live("ledger", f"/pipelines/{name}", values, SELDOM))

    def _unknown_pipeline(self, request: Request, name: str) -> Response:
        known = self.shell.source.declared
        text = f"There is no enabled pipeline `{name}`.{remedies.nearest(name, known)}"
        names = f" There are: {', '.join(known)}." if known else ""
        return self.shell.message(request, 404, "No such pipeline", text + names)


def chosen_measure(aggregate: Aggregate, asked: str | None) -> str:
    """The measure that was asked for, or the first."""
    return asked if asked and asked in aggregate.measures else next(iter(aggregate.measures))
