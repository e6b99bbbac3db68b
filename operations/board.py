"""The board of `make top` and `make stream`: an overview as one screen, or as lines for a log.

It fits any terminal: what matters least is left out first. Every state is a word too, not a colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from operations.activity import Activities, in_one_cell
from operations.overview.model import BatchView, Overview, PipelineView
from runtime.output import in_one_line

MILLION: Final = 1_000_000
# Of what has been said, as much as helps.
LAST_LINES: Final = 5
LONGEST_NAME: Final = 24


class Board:
    """One screen, as tall and as wide as it may be."""

    def __init__(
        self,
        seen: Overview | None,
        activities: Activities | None = None,
        said: Sequence[str] = (),
        *,
        starting: bool = False,
    ) -> None:
        """Show the last look, None before the first; what is being done; and the last lines said.

        `starting` says that services that are down are about to be started.
        """
        self._seen, self._activities, self._said = seen, activities, said
        self._starting = starting

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The sections that fit, in their order."""
        room = (options.height or console.size.height) - 1
        sections = [*self._sections()]
        chosen: dict[int, list[list[Segment]]] = {}
        for place, (_, section) in sorted(enumerate(sections), key=lambda each: each[1][0]):
            narrow = options.update(height=None)
            lines = console.render_lines(section, narrow, pad=False)[: max(room, 0)]
            room -= len(lines)
            chosen[place] = lines
        for _, lines in sorted(chosen.items()):
            for line in lines:
                yield from (*line, Segment.line())
            if lines and room > 0:
                room -= 1
                yield Segment.line()

    def _sections(self) -> Iterator[tuple[int, RenderableType]]:
        """Each with its rank: the higher, the sooner it is left out."""
        seen = self._seen
        yield 0, _head(seen)
        if seen and not self._starting and (troubles := _troubles(seen)):
            words = "\n".join(f"! {in_one_line(trouble)}" for trouble in troubles)
            yield 2, Text(words, style="bold red")
        if seen:
            yield 1, _numbers(seen, "starts" if self._starting else "running")
            if any(each.history for each in seen.pipelines):
                yield 4, _last_batches(seen)
            if reasons := [*_reasons(seen)]:
                yield 5, Group(*reasons)
            if proof := seen.proof:
                verdict = "nothing lost, nothing doubled" if proof.verified else "NOT verified"
                age = ago(seen.taken_at, proof.ended_at)
                yield 6, Text(f"last `make verify`, {age} ago: {verdict}")
        if self._activities and self._activities.current():
            yield 3, self._activities
        if self._said:
            # Each in one line, though it was wrapped for the terminal.
            words = "\n".join(
                in_one_line(" ".join(text.split())) for text in self._said[-LAST_LINES:]
            )
            yield 7, Text(words, style="dim", no_wrap=True, overflow="ellipsis")


def board_lines(seen: Overview) -> list[str]:
    """The same as lines for a log: one for each pipeline that has read something or runs."""
    away = [f"{each.name} {each.condition}" for each in seen.services if each.condition != "up"]
    lines = [f"services: {', '.join(away)}"] if away else []
    lines += [f"! {trouble}" for trouble in _troubles(seen)]
    for each in seen.pipelines:
        if each.counts.read or each.job == "running":
            lines.append(_as_line(each))
    return lines


def _troubles(seen: Overview) -> list[str]:
    """What people should know, first of the services."""
    return [f"{each.name}: {each.note}" for each in seen.services if each.note] + [*seen.troubles]


def _as_line(view: PipelineView) -> str:
    counts = view.counts
    lag = "unknown" if "lag" in view.unknown else f"{view.lag:,}"
    if not view.is_known:
        return f"{view.name}: {view.job}, what it has read is unknown, lag {lag}"
    text = (
        f"{view.name}: {view.job}, read {counts.read:,} ({view.rate:,.1f}/s), lag {lag};"
        f" stored {counts.stored:,}, dead letters {counts.dead_lettered:,},"
        f" filtered {counts.filtered:,}, duplicates {counts.duplicates:,}"
    )
    last = view.last_batch
    if last is None:
        return text
    took = "" if last.seconds is None else f" in {last.seconds:.1f} s"
    sinks = _by_sink(last)
    return f"{text}; batch {last.batch_id}{took}" + (f" ({sinks})" if sinks else "")


def _head(seen: Overview | None) -> Text:
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append("Millrace ", style="bold")
    if seen is None:
        return head.append("looks at the services …")
    head.append(f"{seen.taken_at.astimezone():%H:%M:%S} ")
    for each in seen.services:
        style = "green" if each.condition == "up" else "bold red"
        head.append("  ").append(f"{each.name} {each.condition}", style=style)
    return head


def _table(
    texts: int,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    cuts_last: bool = False,
) -> Table:
    """A table of `texts` columns of text and then numbers; a text as the last one may be cut."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for place, (name, *cells) in enumerate(zip(columns, *rows, strict=True)):
        widest = min(max(map(len, (name, *cells))), LONGEST_NAME)
        is_cut = cuts_last and place == len(columns) - 1
        table.add_column(
            name,
            justify="left" if place < texts or is_cut else "right",
            # Only columns that may wrap are made narrower; its texts do not wrap.
            no_wrap=not is_cut,
            min_width=None if is_cut else widest,
        )
    for row in rows:
        table.add_row(*(in_one_cell(each) if isinstance(each, str) else each for each in row))
    return table


def _numbers(seen: Overview, runs: str) -> Table:
    """Where the messages of each pipeline went: read is the sum of the last four columns."""
    columns = ("pipeline", "job", "read", "/s", "lag", "stored", "rejected", "filtered")
    return _table(2, (*columns, "duplicates"), [_row(each, runs) for each in seen.pipelines])


def _row(view: PipelineView, runs: str) -> list[str | Text]:
    counts = view.counts
    parts = (counts.stored, counts.dead_lettered, counts.filtered, counts.duplicates)
    rate = f"{view.rate:,.0f}" if view.rate >= 10 else f"{view.rate:.1f}"
    lag = "–" if "lag" in view.unknown else shortened(view.lag)
    read, *others = (shortened(n) if view.is_known else "–" for n in (counts.read, *parts))
    return [
        view.name,
        Text(runs, style="green") if view.job == "running" else "–",
        read,
        rate if view.is_known else "–",
        Text(lag, style="bold" if view.lag else ""),
        *others,
    ]


def _last_batches(seen: Overview) -> Table:
    columns = ("last batch", "number", "seconds", "ago", "seconds by sink")
    rows = [
        (
            each.name,
            str(last.batch_id),
            "" if last.seconds is None else f"{last.seconds:.1f}",
            ago(seen.taken_at, last.confirmed_at),
            _by_sink(last),
        )
        for each in seen.pipelines
        if (last := each.last_batch)
    ]
    return _table(1, columns, rows, cuts_last=True)


def _by_sink(batch: BatchView) -> str:
    slowest_first = sorted(batch.sink_seconds.items(), key=lambda each: -each[1])
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest_first)


def _reasons(seen: Overview) -> Iterator[Text]:
    for each in seen.pipelines:
        if each.dead_letters:
            most_first = sorted(each.dead_letters.items(), key=lambda pair: (-pair[1], pair[0]))
            named = ", ".join(f"{code} {number:,}" for code, number in most_first)
            text = Text(no_wrap=True, overflow="ellipsis")
            yield text.append(f"{each.name} rejected: ", style="bold").append(named)


def shortened(number: int) -> str:
    """A number of at most nine characters: `1,234,567`, `12.3 M`."""
    if number < 10 * MILLION:
        return f"{number:,}"
    return f"{number / MILLION:,.1f} M"


def ago(now: datetime, then: datetime) -> str:
    """How long ago, as `4 s`, `3 min`, `2 h` or `5 d`."""
    seconds = max((now - then).total_seconds(), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
