"""Renders a report as one HTML page without scripts and without anything from elsewhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader
from markupsafe import Markup

from dashboard import flow
from dashboard.templating import FOLDER, STATIC, templates
from dashboard.views import chart_values, pictures
from operations.report.contents import LONGEST_VALUE, Contents, PipelinePart
from operations.report.drawing import HEIGHT, LEFT, WIDTH, draw_batches, draw_lines
from spark_jobs.aggregates import Aggregate
from spark_jobs.state.ledger import Counts

OWN: Final = Path(__file__).resolve().parent / "templates"
# Styles of the dashboard that would fetch a file.
FETCHED: Final = re.compile(r"@font-face\s*\{[^}]*\}|@import[^;]*;")


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([FileSystemLoader(OWN), FileSystemLoader(FOLDER / "templates")])
    found: Environment = templates().overlay(loader=loader)
    found.filters["cut"] = _cut
    return found


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


@cache
def _styles() -> Markup:
    shared = FETCHED.sub("", (STATIC / "dashboard.css").read_text(encoding="utf-8"))
    own = (OWN / "report.css").read_text(encoding="utf-8")
    return Markup(shared + own)  # noqa: S704 - files of this project


def render(contents: Contents, *, samples: bool = True) -> str:
    """The page; without samples of dead letters if it must be smaller."""
    ahead = contents.overview.ahead
    total = sum((view.counts for view in ahead), Counts())
    waiting = sum(view.lag for view in ahead)
    return (
        _environment()
        .get_template("report.html")
        .render(
            contents=contents,
            overview=contents.overview,
            total=total,
            waiting=waiting,
            is_unknown=not all(view.is_known for view in ahead),
            missing=flow.picture(total, flow.WIDE).missing,
            pictures=pictures(total),
            parts=[_part(part) for part in contents.parts],
            styles=_styles(),
            samples=samples,
            width=WIDTH,
            height=HEIGHT,
            left=LEFT,
        )
    )


def _part(part: PipelinePart) -> dict[str, Any]:
    most = max((reason.count for reason in part.reasons), default=1)
    return {
        "part": part,
        "view": part.view,
        "pictures": pictures(part.view.counts),
        "reasons": [(r, round(100 * r.count / most, 2)) for r in part.reasons],
        "batches": draw_batches(part.view.history),
        "charts": [
            chart_values(Aggregate(drawn.name), drawn.measure, "", drawn)
            | {"svg": draw_lines(drawn)}
            for drawn in part.charts
        ],
    }
