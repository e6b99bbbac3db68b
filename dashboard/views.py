"""What the live pieces of pages show, computed from an overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dashboard import figures, flow
from dashboard.latest import Seen
from dashboard.source import Chart, LedgerHistory, Number
from operations.overview.model import BatchView, PipelineView
from spark_jobs.aggregates import Aggregate
from spark_jobs.state.ledger import Counts

MOST_REASONS: Final = 12
Values = dict[str, Any]


def overview_values(seen: Seen) -> Values:
    """Of the first page."""
    views = seen.overview.pipelines if seen.overview else ()
    total = sum((view.counts for view in views), Counts())
    reasons, more = dead_letter_reasons(views)
    return {
        "overview": seen.overview,
        "trouble": seen.trouble,
        "total": total,
        "missing": flow.picture(total, flow.WIDE).missing,
        "pictures": pictures(total),
        # Parts of a pipeline read the same topic.
        "lag": sum({view.topic: view.lag for view in views}.values()),
        "reasons": reasons,
        "more_reasons": more,
        "pipelines": [{"view": v, "line": figures.sparkline(v.history)} for v in views],
    }


def pipeline_values(name: str, seen: Seen) -> Values:
    """Of one pipeline's page, without its batches and aggregates."""
    view = view_named(name, seen)
    reasons, more = dead_letter_reasons([view] if view else [])
    return {
        "name": name,
        "view": view,
        "overview": seen.overview,
        "trouble": seen.trouble,
        "pictures": pictures(view.counts if view else Counts()),
        "reasons": reasons,
        "more_reasons": more,
    }


def view_named(name: str, seen: Seen) -> PipelineView | None:
    """The pipeline of this name, as it was seen."""
    views = seen.overview.pipelines if seen.overview else ()
    return next((view for view in views if view.name == name), None)


def pictures(counts: Counts) -> Mapping[str, flow.Picture]:
    """The way of messages for wide and for narrow screens."""
    return {
        "wide": flow.picture(counts, flow.WIDE),
        "narrow": flow.picture(counts, flow.NARROW),
    }


def dead_letter_reasons(views: Iterable[PipelineView]) -> tuple[list[Values], int]:
    """Reasons with the most dead letters, with the length of their bars, and how many more."""
    # Parts of a pipeline share their dead letters.
    found = {
        (view.family, view.topic, reason): count
        for view in views
        for reason, count in view.dead_letters.items()
        if count
    }
    ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    most = ranked[0][1] if ranked else 0
    rows = [
        {
            "family": family,
            "pipeline": family,
            "topic": topic,
            "reason": reason,
            "count": count,
            "percent": round(100 * count / most, 2),
        }
        for (family, topic, reason), count in ranked[:MOST_REASONS]
    ]
    return rows, len(ranked) - len(rows)


def history_values(view: PipelineView | None) -> Values:
    """Of the batches of a pipeline; charts have the oldest first."""
    history: Sequence[BatchView] = view.history if view else ()
    sinks = sorted({sink for batch in history for sink in batch.sink_seconds})
    in_order = [*reversed(history)]
    times = [figures.in_utc(batch.confirmed_at).timestamp() for batch in in_order]
    has_rates = any(batch.rows_per_second is not None for batch in history)
    rates = [b.rows_per_second if has_rates else b.counts.read for b in in_order]
    return {
        "history": history,
        "sinks": sinks,
        "has_rates": has_rates,
        "has_seconds": any(batch.seconds is not None for batch in history),
        "rates": {
            "times": times,
            "lines": {"messages per second" if has_rates else "messages": rates},
        },
        "seconds": {
            "times": times,
            "lines": {
                "whole batch": [batch.seconds for batch in in_order],
                **{sink: [b.sink_seconds.get(sink) for b in in_order] for sink in sinks},
            },
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
        "stored": {"times": history.times, "lines": stored},
        # In the colours that the outcomes have in the picture.
        "others": {"times": history.times, "lines": others, "skip": len(stored)},
    }


def chart_values(aggregate: Aggregate, measure: str, base: str, drawn: Chart | None) -> Values:
    """Of an aggregate's chart."""
    percents = _percents([bar.number for bar in drawn.bars]) if drawn else []
    lines = _numbers(drawn.lines) if drawn else {}
    return {
        "id": f"of-{aggregate.name}",
        "aggregate": aggregate,
        "measure": measure,
        "base": base,
        "drawn": drawn,
        "percents": percents,
        "has_numbers": any(n is not None for line in lines.values() for n in line),
        "lines": {"unit": drawn.unit, "times": drawn.times, "lines": lines} if drawn else None,
    }


def _percents(numbers: Sequence[float | None]) -> list[float]:
    """The length of each bar; those of numbers below nothing have none."""
    longest = max((abs(n) for n in numbers if n is not None), default=0.0)
    return [round(100 * max(n or 0.0, 0.0) / longest, 2) if longest else 0.0 for n in numbers]


def _numbers(lines: Mapping[str, Sequence[Any]]) -> dict[str, list[float | None]]:
    """The numbers of lines; none for instants and texts, which are in the table alone."""
    return {
        name: [float(value) if isinstance(value, Number) else None for value in values]
        for name, values in lines.items()
    }
