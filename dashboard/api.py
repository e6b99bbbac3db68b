"""The same as the pages, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from dashboard.latest import Seen
from dashboard.metrics import TEXT, metrics_text
from dashboard.pages import chosen_measure
from dashboard.responses import Json
from dashboard.shell import Shell
from dashboard.views import view_named
from errors import MillraceError
from operations.overview.as_json import as_json
from operations.trace.model import plain

# A program waits rather than asking again.
PATIENCE_SECONDS: Final = 15.0


def answered(handler: Callable[[Any, Request], Response]) -> Callable[[Any, Request], Response]:
    """What cannot be read is a 503 with its reason."""

    @wraps(handler)
    def answer(self: Any, request: Request) -> Response:
        try:
            return handler(self, request)
        except MillraceError as error:
            return Json({"error": str(error)}, 503)

    return answer


class Api:
    """Answers requests of programs."""

    def __init__(self, shell: Shell) -> None:
        """Answer with what the pages show."""
        self.shell, self.source, self.latest = shell, shell.source, shell.latest

    def overview(self, request: Request) -> Response:
        """The overview as it is collected."""
        seen = self._seen()
        if seen.overview is None:
            return Json({"error": seen.trouble or "no overview yet"}, 503)
        found = as_json(seen.overview)
        troubles = [*([seen.trouble] if seen.trouble else []), *found["troubles"]]
        return Json(found | {"troubles": troubles})

    @answered
    def pipeline(self, request: Request) -> Response:
        """One pipeline of the overview, with the names of its aggregates."""
        name = request.path_params["name"]
        seen = self._seen()
        view = view_named(name, seen)
        if view is None:
            known = [each.name for each in seen.overview.pipelines] if seen.overview else []
            return _unknown("pipeline", name, {each: each for each in known})
        declared = self.source.declared.get(view.family)
        names = [each.name for each in declared.aggregates] if declared else []
        return Json(as_json(view) | {"aggregates": names})

    @answered
    def aggregate(self, request: Request) -> Response:
        """One measure of an aggregate, as its chart shows it."""
        name = request.path_params["name"]
        wanted = request.path_params["aggregate"]
        declared = self.source.declared.get(name.partition("-")[0])
        aggregate = declared.aggregate(wanted) if declared else None
        if aggregate is None:
            known = {each.name: each for each in declared.aggregates} if declared else {}
            return _unknown("aggregate", wanted, known)
        measure = chosen_measure(aggregate, request.query_params.get("measure"))
        return Json(as_json(self.shell.chart(name, aggregate, measure)))

    @answered
    def history(self, request: Request) -> Response:
        """The ledger of a pipeline over time."""
        name = request.path_params["name"]
        if name.partition("-")[0] not in self.source.declared:
            return _unknown("pipeline", name, self.source.declared)
        return Json(as_json(self.shell.history(name)))

    def tables(self, request: Request) -> Response:
        """The tables whose rows can be looked at, with the columns of their keys."""
        return Json(
            {
                place: {"pipeline": table.pipeline, "key": [column.name for column in table.key]}
                for place, table in self.source.tables.items()
            }
        )

    @answered
    def rows(self, request: Request) -> Response:
        """Rows of one partition, or the keys of partitions."""
        place = request.path_params["place"]
        table = self.source.tables.get(place)
        if table is None:
            return _unknown("table", place, self.source.tables)
        given = dict(request.query_params)
        page = given.pop("page", None)
        if not given:
            keys, more = self.source.partitions(table)
            return Json({"partitions": plain(keys), "more": more})
        found = self.source.rows(table, given, page)
        return Json({"rows": plain(found.rows), "following": found.following})

    @answered
    def dead_letters(self, request: Request) -> Response:
        """Dead letters, masked."""
        given = {n: request.query_params.get(n) or None for n in ("pipeline", "reason", "page")}
        return Json(as_json(self.source.dead_letters(**given)))

    @answered
    def trace(self, request: Request) -> Response:
        """What is known of a record."""
        return Json(self.source.trace(request.path_params["asked"]).as_json())

    def metrics(self, request: Request) -> Response:
        """The overview for Prometheus."""
        return Response(metrics_text(self._seen()), media_type=TEXT)

    def health(self, request: Request) -> Response:
        """200 if every service answers, else 503 with the names of those that do not."""
        seen = self._seen()
        down = ["overview"]
        if seen.overview is not None and not seen.trouble:
            down = [each.name for each in seen.overview.services if each.condition != "up"]
        state = {"status": "down" if down else "ok", "down": down}
        return Json(state, 503 if down else 200)

    def _seen(self) -> Seen:
        return self.latest.get(PATIENCE_SECONDS, fresh=True)


def _unknown(what: str, name: str, known: Mapping[str, object]) -> Response:
    return Json({"error": f"There is no {what} `{name}`.", "known": [*known]}, 404)
