"""The contents of a report, made by hand from the platform of `dashboard_source`."""

from __future__ import annotations

from datetime import timedelta

from operations.masking import MASK
from operations.overview.model import Overview, PipelineView
from operations.overview.records import LetterView
from operations.report.contents import Contents, PipelinePart, Reason, run_times
from tests.support.dashboard_source import NOW, HandMade, overview_of


def letter(number: int, reason: str) -> LetterView:
    """A dead letter of orders, with an e-mail address masked."""
    value = f'{{"order_id": "A-{number:05}", "email": "{MASK}", "amount": "many"}}'
    return LetterView(
        f"orders/{number % 3}/{100 + number}",
        "orders",
        NOW - timedelta(seconds=number),
        (reason,),
        value if number != 2 else None,
        None if number != 2 else "The broker no longer has the message on `orders`.",
    )


def part_of(view: PipelineView, source: HandMade, samples: int = 3) -> PipelinePart:
    """A pipeline with charts of all its aggregates."""
    declared = source.declared[view.family]
    return PipelinePart(
        view,
        None if "lag" in view.unknown else view.lag,
        tuple(
            Reason(name, count, tuple(letter(n, name) for n in range(samples)))
            for name, count in sorted(view.dead_letters.items(), key=lambda each: -each[1])
        ),
        run_times(view),
        tuple(source.chart(each, next(iter(each.measures))) for each in declared.aggregates),
        ("people_by_name",) if view.family == "orders" else (),
    )


def contents_of(read: int, seen: Overview | None = None) -> Contents:
    """A report about so many orders; nothing has run for 0."""
    source = HandMade(seen=seen or overview_of(read))
    return Contents(
        source.seen,
        tuple(part_of(view, source) for view in source.seen.pipelines),
        {"millrace": "0.1.0", "python": "3.11.9", "kafka": "3.9.2", "cassandra": "5.0.9"},
        source.seen.troubles,
    )
