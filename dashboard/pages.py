"""The overview and the pages of pipelines. Each answers at once and renews itself."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dashboard import views
from dashboard.live_parts import OFTEN, SELDOM, SOON, changed, live_part
from dashboard.shell import Shell
from dashboard.source import Chart, Declared
from errors import MillraceError
from runtime import remedies
from spark_jobs.aggregates import Aggregate

# A page waits so long for a first overview; afterwards it asks again by itself.
PATIENCE_SECONDS: Final = 0.15


class Pages:
    """Answers requests for these pages and their pieces."""

    def __init__(self, shell: Shell) -> None:
        """Show them in this frame."""
        self.shell = shell

    def overview(self, request: Request) -> Response:
        """The whole platform at a glance."""
        part = self._overview_part()
        if "part" in request.query_params:
            return changed(request, part)
        return self.shell.page(request, "page.html", title="Overview", section="/", parts=[part[1]])

    def pipeline(self, request: Request) -> Response:
        """One pipeline: the way of its messages, batches, aggregates."""
        name = request.path_params["name"]
        declared = self.shell.source.declared.get(name.partition("-")[0])
        if declared is None:
            return self._unknown_pipeline(request, name)
        match request.query_params.get("part"):
            case "pipeline":
                return changed(request, self._pipeline_part(name))
            case "history":
                return changed(request, self._history_part(name))
            case "ledger":
                return self._ledger(request, name)
            case "chart":
                return self._chart(request, name, declared)
        ledger = self.shell.follows("ledger", f"/pipelines/{name}?part=ledger", "")
        parts = [self._pipeline_part(name)[1], self._history_part(name)[1], ledger]
        # Aggregates ask their store, so each comes when it is ready.
        waiting = '<div class="waiting aggregate" aria-hidden="true"></div>'
        path = f"/pipelines/{name}?part=chart&aggregate="
        later = [
            self.shell.follows(f"of-{each.name}", path + each.name, waiting)
            for each in declared.aggregates
        ]
        return self.shell.page(
            request,
            "pipeline.html",
            title=name,
            section="",
            parts=parts,
            aggregates=later,
            family=declared.name,
            tables=[t for t in self.shell.source.tables.values() if t.pipeline == declared.name],
            others=[each for each in self.shell.source.declared if each != declared.name],
        )

    def _overview_part(self) -> tuple[str, Markup]:
        seen = self.shell.latest.get(PATIENCE_SECONDS)
        when = OFTEN if seen.overview else f"{SOON}, {OFTEN}"
        values = views.overview_values(seen)
        return live_part(self.shell.templates, "overview", "/", values, when)

    def _pipeline_part(self, name: str) -> tuple[str, Markup]:
        seen = self.shell.latest.get(PATIENCE_SECONDS)
        when = OFTEN if seen.overview else f"{SOON}, {OFTEN}"
        values = views.pipeline_values(name, seen)
        return live_part(self.shell.templates, "pipeline", f"/pipelines/{name}", values, when)

    def _history_part(self, name: str) -> tuple[str, Markup]:
        values = views.history_values(views.view_named(name, self.shell.latest.get(0)))
        return live_part(self.shell.templates, "history", f"/pipelines/{name}", values)

    def _chart(self, request: Request, name: str, declared: Declared) -> Response:
        aggregate = declared.aggregate(request.query_params.get("aggregate", ""))
        if aggregate is None:
            return Response(status_code=404)
        measure = chosen_measure(aggregate, request.query_params.get("measure"))
        drawn: Chart | None = None
        trouble = None
        try:
            drawn = self.shell.chart(name, aggregate, measure)
        except MillraceError as error:
            trouble = str(error)
        path = f"/pipelines/{name}"
        base = f"{path}?part=chart&aggregate={aggregate.name}"
        values = views.chart_values(aggregate, measure, base, drawn) | {"trouble": trouble}
        names = {"aggregate": aggregate.name, "measure": measure}
        return changed(
            request, live_part(self.shell.templates, "chart", path, values, SELDOM, **names)
        )

    def _ledger(self, request: Request, name: str) -> Response:
        found, trouble = None, None
        try:
            found = self.shell.history(name)
        except MillraceError as error:
            trouble = str(error)
        values = views.ledger_values(found) | {"trouble": trouble}
        part = live_part(self.shell.templates, "ledger", f"/pipelines/{name}", values, SELDOM)
        return changed(request, part)

    def _unknown_pipeline(self, request: Request, name: str) -> Response:
        known = self.shell.source.declared
        text = (
            f"There is no enabled pipeline `{name}`.{remedies.nearest(name, known)}"
            f" There are: {', '.join(known)}."
        )
        return self.shell.message(request, 404, "No such pipeline", text)


def chosen_measure(aggregate: Aggregate, asked: str | None) -> str:
    """The measure that was asked for, or the first."""
    return asked if asked and asked in aggregate.measures else next(iter(aggregate.measures))
