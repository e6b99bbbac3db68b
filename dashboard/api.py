"""The same as the pages, as JSON.

A request that does not fit is a 400, what cannot be read a 503, each with its reason (app.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from dashboard.latest import Seen
from dashboard.metrics import TEXT, metrics_text
from dashboard.pages import chosen_measure
from dashboard.responses import Json
from dashboard.shell import Shell
from dashboard.store_pages import filters_of
from dashboard.views import view_named
from errors import MillraceError
from operations.overview.as_json import as_json
from operations.overview.model import Overview

# A program waits rather than asking again.
PATIENCE_SECONDS: Final = 15.0


class Api:
    """Answers requests of programs."""

    def __init__(self, shell: Shell) -> None:
        self.shell, self.source = shell, shell.source

    def overview(self, request: Request) -> Response:
        """The overview as it is collected."""
        seen = self._seen()
        found = as_json(_overview(seen))
        if seen.trouble:
            found["troubles"].insert(0, seen.trouble)
        return Json(found)

    def pipeline(self, request: Request) -> Response:
        """One pipeline of the overview, with the names of its aggregates."""
        name = request.path_params["name"]
        seen = self._seen()
        overview = _overview(seen)
        known = [each.name for each in overview.pipelines]
        view, declared = view_named(name, seen), self.shell.declared(name)
        if view is None or declared is None:
            if declared is None:
                return _unknown("pipeline", name, known)
            if overview.troubles:
                raise MillraceError(" ".join(overview.troubles))
            return Json({"error": f"No job of `{name}` itself has run.", "known": known}, 404)
        return Json(as_json(view) | {"aggregates": [each.name for each in declared.aggregates]})

    def aggregate(self, request: Request) -> Response:
        """One measure of an aggregate, as its chart shows it."""
        name, wanted = request.path_params["name"], request.path_params["aggregate"]
        declared = self.shell.declared(name)
        aggregate = declared.aggregate(wanted) if declared else None
        if aggregate is None:
            aggregates = declared.aggregates if declared else ()
            return _unknown("aggregate", wanted, (each.name for each in aggregates))
        measure = chosen_measure(aggregate, request.query_params.get("measure"))
        return Json(as_json(self.shell.chart(name, aggregate, measure)))

    def history(self, request: Request) -> Response:
        """The ledger of a pipeline over time."""
        name = request.path_params["name"]
        if self.shell.declared(name) is None:
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
            return Json({"partitions": as_json(keys), "more": more})
        found = self.source.rows(table, given, page)
        return Json({"rows": as_json(found.rows), "following": found.following})

    def dead_letters(self, request: Request) -> Response:
        """Dead letters, masked."""
        return Json(as_json(self.source.dead_letters(**filters_of(request))))

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
        return self.shell.latest.get(PATIENCE_SECONDS, fresh=True)


def _overview(seen: Seen) -> Overview:
    if seen.overview is None:
        raise MillraceError(seen.trouble or "There is no overview yet.")
    return seen.overview


def _unknown(what: str, name: str, known: Iterable[str]) -> Response:
    return Json({"error": f"There is no {what} `{name}`.", "known": [*known]}, 404)
