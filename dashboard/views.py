"""What the live pieces of pages show, computed from an overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dashboard import figures, flow
from dashboard.latest import Seen
from dashboard.source import Chart, LedgerHistory, drawable
from operations.overview.model import BatchView, PipelineView
from spark_jobs.aggregates import Aggregate
from spark_jobs.state.ledger import Counts

MOST_REASONS: Final = 12
Values = dict[str, Any]


def overview_values(seen: Seen) -> Values:
    """Of the first page."""
    views = seen.overview.pipelines if seen.overview else ()
    ahead = seen.overview.ahead if seen.overview else ()
    total = sum((view.counts for view in ahead), Counts())
    return {
        "overview": seen.overview,
        "trouble": seen.trouble,
        "total": total,
        "pictures": pictures(total),
        "lag": sum(view.lag for view in ahead),
        "is_unknown": any(_is_unknown(view, seen) for view in views),
        "pipelines": [
            {
                "view": view,
                "line": figures.sparkline(view.history),
                "is_unknown": _is_unknown(view, seen),
            }
            for view in views
        ],
        **reasons_of(views),
    }


def pipeline_values(name: str, family: str, seen: Seen) -> Values:
    """Of one pipeline's page, without its batches and aggregates."""
    view = view_named(name, seen)
    views = seen.overview.pipelines if seen.overview else ()
    return {
        "name": name,
        "view": view,
        "parts": [each.name for each in views if each.family == family != each.name],
        "is_unknown": _is_unknown(view, seen),
        "overview": seen.overview,
        "trouble": seen.trouble,
        "pictures": pictures(view.counts if view else Counts()),
        **reasons_of([view] if view else []),
    }


def view_named(name: str, seen: Seen) -> PipelineView | None:
    """The pipeline of this name, as it was seen."""
    views = seen.overview.pipelines if seen.overview else ()
    return next((view for view in views if view.name == name), None)


def _is_unknown(view: PipelineView | None, seen: Seen) -> bool:
    """Whether no batch is seen because the ledger could not be read."""
    has_troubles = seen.trouble or (seen.overview and seen.overview.troubles)
    return bool(has_troubles) and not (view and view.last_batch)


def pictures(counts: Counts) -> Mapping[str, flow.Picture]:
    """The way of messages for wide and for narrow screens."""
    return {
        "wide": flow.picture(counts, flow.WIDE),
        "narrow": flow.picture(counts, flow.NARROW),
    }


def reasons_of(views: Iterable[PipelineView]) -> Values:
    """Reasons with the most dead letters, with the length of their bars, and how many more."""
    found: dict[tuple[str, str], int] = {}
    # Parts of a pipeline share their dead letters.
    for view in views:
        for reason, count in view.dead_letters.items():
            found[view.family, reason] = max(count, found.get((view.family, reason), 0))
    ranked = sorted((-count, *key) for key, count in found.items() if count)
    rows = [
        {
            "family": family,
            "reason": reason,
            "count": -count,
            "percent": round(100 * count / ranked[0][0], 2),
        }
        for count, family, reason in ranked[:MOST_REASONS]
    ]
    return {"reasons": rows, "more_reasons": len(ranked) - len(rows)}


def history_values(view: PipelineView | None) -> Values:
    """Of the batches of a pipeline; charts have the oldest first."""
    history: Sequence[BatchView] = view.history if view else ()
    sinks = sorted({sink for batch in history for sink in batch.sink_seconds})
    in_order = [*reversed(history)]
    times = [figures.in_utc(batch.confirmed_at).timestamp() for batch in in_order]
    has_seconds = any(batch.seconds for batch in history)
    rates = [b.rows_per_second if has_seconds else b.counts.read for b in in_order]
    each_sink = {sink: [b.sink_seconds.get(sink) for b in in_order] for sink in sinks}
    return {
        "history": history,
        "sinks": sinks,
        "has_seconds": has_seconds,
        "rates": {
            "times": times,
            "lines": {"messages per second" if has_seconds else "messages": rates},
        },
        "seconds": {
            "times": times,
            "lines": {"whole batch": [batch.seconds for batch in in_order], **each_sink},
        },
    }


def ledger_values(found: LedgerHistory | None) -> Values:
    """Of a ledger over time."""
    history = found or LedgerHistory()
    lines = {flow.OUTCOMES[name]: line for name, line in history.lines.items()}
    # The others are few: on the scale of what is stored they could not be seen.
    stored = {name: line for name, line in lines.items() if name == flow.OUTCOMES["stored"]}
    others = {name: line for name, line in lines.items() if name not in stored}
    return {
        "found": history,
        "span": figures.span(history.seconds),
        "lines": lines,
        "has_others": any(map(any, others.values())),
        "stored": {"times": history.times, "lines": stored},
        # In the colours that the outcomes have in the picture.
        "others": {"times": history.times, "lines": others, "skip": len(stored)},
    }


def chart_values(aggregate: Aggregate, measure: str, base: str, drawn: Chart | None) -> Values:
    """Of an aggregate's chart."""
    lines = _numbers(drawn.lines) if drawn else {}
    return {
        "id": f"of-{aggregate.name}",
        "aggregate": aggregate,
        "measure": measure,
        "base": base,
        "drawn": drawn,
        "percents": _percents([bar.number or 0.0 for bar in drawn.bars]) if drawn else [],
        "has_numbers": any(n is not None for line in lines.values() for n in line),
        "lines": {"unit": drawn.unit, "times": drawn.times, "lines": lines} if drawn else None,
    }


def _percents(numbers: Sequence[float]) -> list[float]:
    """The length of each bar; those of numbers below nothing have none."""
    longest = max(map(abs, numbers), default=0.0) or 1.0
    return [round(100 * max(n, 0.0) / longest, 2) for n in numbers]


def _numbers(lines: Mapping[str, Sequence[Any]]) -> dict[str, list[float | None]]:
    """What can be drawn of lines; instants and texts are in the table alone."""
    return {name: [drawable(value) for value in values] for name, values in lines.items()}
