"""Pages of what stores and topics hold: records of a partition, dead letters, a record's way."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboard.figures import in_utc
from dashboard.shell import Shell
from dashboard.templating import cell, in_address
from operations.overview.records import RecordTable
from operations.tables import RARELY_WANTED
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
        values: dict[str, Any] = {"section": "/records", "table": table, "key": key}
        if "part" not in request.query_params:
            values["later"] = self.shell.later(request, "Looking it up in Cassandra…")
            return self.shell.page(request, "table.html", **values)
        page = request.query_params.get("page")
        declared = self.shell.declared(table.pipeline)
        values |= {"page": page, "ids": declared.ids if declared else ()}
        values |= {"found": None, "listed": [], "more_partitions": False, "columns": []}
        return self.shell.piece("rows", values, lambda: self._read(table, key, page, values))

    def _read(
        self, table: RecordTable, key: dict[str, str], page: str | None, values: dict[str, Any]
    ) -> None:
        if not key:
            listed, values["more_partitions"] = self.source.partitions(table)
            values["listed"] = [_partition(each) for each in listed]
            return
        values["found"] = found = self.source.rows(table, key, page)
        # All rows have the values of the key, which stand in the form.
        columns = [each for each in (found.rows[0] if found.rows else ()) if each not in key]
        values["columns"] = sorted(columns, key=lambda name: bool(RARELY_WANTED.match(name)))

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
        values: dict[str, Any] = {"found": None, **given}
        return self.shell.piece(
            "letters", values, lambda: values.update(found=self.source.dead_letters(**given))
        )

    def trace(self, request: Request) -> Response:
        """The way of one record."""
        asked = request.path_params["asked"]
        if "part" not in request.query_params:
            later = self.shell.later(request, "Looking for it on the topics and in the stores…")
            return self.shell.page(request, "trace.html", section="", traced=asked, later=later)
        values: dict[str, Any] = {"asked": asked, "found": None}
        return self.shell.piece(
            "trace", values, lambda: values.update(found=self.source.trace(asked))
        )

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
