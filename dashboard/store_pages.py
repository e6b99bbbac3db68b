"""Pages of what stores and topics hold: records of a partition, dead letters, a record's way."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboard.figures import in_utc
from dashboard.shell import Shell
from dashboard.templating import templates
from operations.tables import RARELY_WANTED
from runtime import remedies


class StorePages:
    """Answers requests for these pages and their pieces."""

    def __init__(self, shell: Shell) -> None:
        """Show them in this frame."""
        self.shell = shell

    def records(self, request: Request) -> Response:
        """The tables whose rows can be looked at."""
        groups = defaultdict(list)
        for table in self.shell.source.tables.values():
            groups[table.pipeline].append(table)
        return self.shell.page(request, "records.html", section="/records", groups=groups)

    def table(self, request: Request) -> Response:
        """Rows of one partition of a table, or the keys of partitions."""
        place = request.path_params["place"]
        table = self.shell.source.tables.get(place)
        if table is None:
            near = remedies.nearest(place, self.shell.source.tables)
            text = f"There is no table `{place}` of an enabled pipeline.{near}"
            return self.shell.message(request, 404, "No such table", text)
        names = [column.name for column in table.key]
        key = {n: request.query_params[n] for n in names if request.query_params.get(n)}
        if "part" not in request.query_params:
            later = self.shell.later(request, "Looking it up in Cassandra…")
            return self.shell.page(
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
                values["found"] = found = self.shell.source.rows(table, key, page)
                columns = [*found.rows[0]] if found.rows else []
                # All rows have the values of the key, which stand in the form.
                others = [each for each in columns if each not in key]
                values["columns"] = sorted(others, key=lambda n: bool(RARELY_WANTED.match(n)))
            else:
                listed, values["more_partitions"] = self.shell.source.partitions(table)
                values["listed"] = [_partition(each) for each in listed]

        return self.shell.piece("rows", values, read)

    def dead_letters(self, request: Request) -> Response:
        """Dead letters, masked."""
        given = {n: request.query_params.get(n) or None for n in ("pipeline", "reason", "page")}
        if "part" not in request.query_params:
            overview = self.shell.latest.get(0).overview
            views = overview.pipelines if overview else ()
            return self.shell.page(
                request,
                "dead_letters.html",
                section="/dead-letters",
                reasons=sorted({reason for view in views for reason in view.dead_letters}),
                pipelines=[*self.shell.source.declared],
                later=self.shell.later(request, "Reading dead letters…"),
                **given,
            )
        values: dict[str, Any] = {"found": None, **given}
        return self.shell.piece(
            "letters", values, lambda: values.update(found=self.shell.source.dead_letters(**given))
        )

    def trace(self, request: Request) -> Response:
        """The way of one record."""
        asked = request.path_params["asked"]
        if "part" not in request.query_params:
            text = "Looking for it on the topics and in the stores…"
            later = self.shell.later(request, text)
            return self.shell.page(request, "trace.html", section="", traced=asked, later=later)
        values: dict[str, Any] = {"asked": asked, "found": None}
        return self.shell.piece(
            "trace", values, lambda: values.update(found=self.shell.source.trace(asked))
        )

    def find(self, request: Request) -> Response:
        """The page of the id that was typed."""
        wanted = request.query_params.get("id", "").strip()
        filters = self.shell.templates.filters
        return RedirectResponse(f"/trace/{filters['urlencode'](wanted)}" if wanted else "/", 303)

    def _ids(self, pipeline: str) -> tuple[str, ...]:
        declared = self.shell.source.declared.get(pipeline)
        return declared.ids if declared else ()


def _partition(key: dict[str, Any]) -> dict[str, Any]:
    text = templates().filters["cell"]
    return {
        "link": {name: _as_given(value) for name, value in key.items()},
        "text": " · ".join(text(value) for value in key.values()),
    }


def _as_given(value: Any) -> str:
    """A key's value as a form gives it; times from Cassandra are in UTC."""
    if isinstance(value, datetime):
        return in_utc(value).isoformat().replace("+00:00", "Z")
    return str(value)
