"""Pages of what stores and topics hold: records of a partition, dead letters, a record's way."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboard.figures import in_utc
from dashboard.shell import Shell, tried
from dashboard.templating import cell, in_address
from operations.tables import RARELY_WANTED
from operations.trace.ids import joined_id
from runtime import remedies


class StorePages:
    """Answers requests for these pages and their pieces."""

    def __init__(self, shell: Shell) -> None:
        self.shell, self.source = shell, shell.source

    def records(self, request: Request) -> Response:
        """The tables whose rows can be looked at."""
        groups = defaultdict(list)
        for table in self.source.tables.values():
            groups[table.pipeline].append(table)
        return self.shell.page(request, "records.html", section="/records", groups=groups)

    def table(self, request: Request) -> Response:
        """Rows of one partition of a table, or the keys of partitions."""
        place = request.path_params["place"]
        table = self.source.tables.get(place)
        if table is None:
            near = remedies.nearest(place, self.source.tables)
            text = f"There is no table `{place}` of an enabled pipeline.{near}"
            return self.shell.message(request, 404, "No such table", text)
        names = [column.name for column in table.key]
        key = {n: request.query_params[n] for n in names if request.query_params.get(n)}
        shown: dict[str, Any] = {"table": table, "key": key}
        if "part" not in request.query_params:
            later = self.shell.later(request, "Looking it up in Cassandra…")
            return self.shell.page(request, "table.html", section="/records", later=later, **shown)
        if not key:
            listing, trouble = tried(lambda: self.source.partitions(table))
            keys, more = listing or ([], False)
            listed = [_partition(each) for each in keys]
            return self.shell.piece(
                "rows", listed=listed, more_partitions=more, found=None, trouble=trouble, **shown
            )
        page = request.query_params.get("page")
        found, trouble = tried(lambda: self.source.rows(table, key, page))
        # All rows have the values of the key, which stand in the form.
        columns = [n for n in (found.rows[0] if found and found.rows else ()) if n not in key]
        columns.sort(key=lambda name: bool(RARELY_WANTED.match(name)))
        declared = self.shell.declared(table.pipeline)
        ids = declared.ids if declared and table.masked.isdisjoint(declared.ids) else ()
        traces = [joined_id([row.get(n) for n in ids]) for row in (found.rows if found else ())]
        # The way of a record is behind the first column of its id.
        traced = next((name for name in columns if name in ids), None)
        shown |= {"traces": traces, "traced": traced, "columns": columns, "page": page}
        return self.shell.piece("rows", found=found, listed=[], trouble=trouble, **shown)

    def dead_letters(self, request: Request) -> Response:
        """Dead letters, masked."""
        given = filters_of(request)
        if "part" not in request.query_params:
            overview = self.shell.latest.get(0).overview
            views = overview.pipelines if overview else ()
            return self.shell.page(
                request,
                "dead_letters.html",
                section="/dead-letters",
                reasons=sorted({reason for view in views for reason in view.dead_letters}),
                pipelines=[*self.source.declared],
                later=self.shell.later(request, "Reading dead letters…"),
                **given,
            )
        found, trouble = tried(lambda: self.source.dead_letters(**given))
        return self.shell.piece("letters", found=found, trouble=trouble, **given)

    def trace(self, request: Request) -> Response:
        """The way of one record."""
        asked = request.path_params["asked"]
        if "part" not in request.query_params:
            later = self.shell.later(request, "Looking for it on the topics and in the stores…")
            return self.shell.page(request, "trace.html", section="", traced=asked, later=later)
        found, trouble = tried(lambda: self.source.trace(asked))
        return self.shell.piece("trace", asked=asked, found=found, trouble=trouble)

    def find(self, request: Request) -> Response:
        """The page of the id that was typed."""
        wanted = request.query_params.get("id", "").strip()
        return RedirectResponse(f"/trace/{in_address(wanted)}" if wanted else "/", 303)


def filters_of(request: Request) -> dict[str, str | None]:
    """Which dead letters are asked for."""
    return {n: request.query_params.get(n) or None for n in ("pipeline", "reason", "page")}


def _partition(key: dict[str, Any]) -> dict[str, Any]:
    return {
        "link": {name: _as_given(value) for name, value in key.items()},
        "text": " · ".join(cell(value) for value in key.values()),
    }


def _as_given(value: Any) -> str:
    """A key's value as a form gives it; times from Cassandra are in UTC."""
    if isinstance(value, datetime):
        return in_utc(value).isoformat().replace("+00:00", "Z")
    return str(value)
