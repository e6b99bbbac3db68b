"""Results of a benchmark: medians, ratios, JSON, a chart, and what got worse.

Absolute figures depend on the machine and the moment; ratios are stable. Each row is divided by its
reference, a row of the same run.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from xml.sax.saxutils import escape

from runtime.surroundings import share
from settings import PROJECT_ROOT

FOLDER: Final = PROJECT_ROOT / "docs" / "benchmarks"
# Smaller changes may be noise.
TOLERANCE: Final = 0.15
# Units for which more is better; for all others less is better.
RATES: Final = ("rows/s",)
ROW_HEIGHT, LABELS_WIDTH, BARS_WIDTH = 22, 400, 420


@dataclass
class BenchRow:
    """One measurement, with its value in each round.

    Attributes:
        reference: Name of the row that it is divided by; None for a reference itself.
    """

    name: str
    group: str
    unit: str = "rows/s"
    reference: str | None = None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the values."""
        return median(self.values)


@dataclass(frozen=True)
class Results:
    """The rows of a run, and its sizes."""

    title: str
    sizes: dict[str, int]
    rows: tuple[BenchRow, ...]

    def row(self, name: str) -> BenchRow:
        """The row with this name."""
        return next(row for row in self.rows if row.name == name)

    def ratio(self, row: BenchRow) -> float | None:
        """The row's median divided by its reference's; None without a reference."""
        references = {each.name: each for each in self.rows if each.values}
        if row.reference is None or row.reference not in references:
            return None
        return row.median / references[row.reference].median

    def document(self) -> dict[str, Any]:
        """The results as a JSON document."""
        return {
            "title": self.title,
            "sizes": self.sizes,
            "rows": [
                asdict(row) | {"median": row.median, "ratio": self.ratio(row)}
                for row in self.rows
                if row.values
            ],
        }

    def lines(self) -> list[tuple[object, ...]]:
        """The rows of the printed table."""
        return [
            (
                row.group,
                row.name,
                _number(row.median),
                row.unit,
                f"{_number(min(row.values))} – {_number(max(row.values))}",
                _ratio_text(self.ratio(row)),
                row.reference or "",
            )
            for row in self.rows
            if row.values
        ]


def worse_than(former: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """What got worse by more than the tolerance, and what is no longer measured, as text.

    Ratios are compared. Seconds and megabytes without a reference are compared directly, which is
    meaningful only on the same machine.
    """
    now = {row["name"]: row for row in present["rows"]}
    found = []
    for old in former["rows"]:
        row = now.get(old["name"])
        if row is None:
            found.append(f"{old['name']}: no longer measured")
            continue
        key = "ratio" if old["ratio"] and row["ratio"] else "median"
        if key == "median" and row["unit"] in RATES:
            continue
        of = f"of `{row['reference']}`" if key == "ratio" else f"{row['unit']} (on this machine)"
        change = row[key] / old[key]
        worse = 1 / change if row["unit"] in RATES else change
        if worse > 1 + TOLERANCE:
            found.append(
                f"{row['name']}: {row[key]:.2f} {of}, was {old[key]:.2f}"
                f" ({100 * (worse - 1):.0f} % worse)"
            )
    return found


def committed(name: str) -> dict[str, Any] | None:
    """The last committed results with this name; None if there are none."""
    path = FOLDER.relative_to(PROJECT_ROOT) / f"{name}.json"
    try:
        shown = subprocess.run(
            ["git", "show", f"HEAD:{path.as_posix()}"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            check=True,
        )
        return dict(json.loads(shown.stdout))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def save(results: Results, name: str) -> list[Path]:
    """Write JSON and chart; returns their paths."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    data, chart = FOLDER / f"{name}.json", FOLDER / f"{name}.svg"
    data.write_text(json.dumps(results.document(), indent=1) + "\n")
    chart.write_text(bar_chart(results.title, [row for row in results.rows if row.values]))
    share(FOLDER)
    return [data, chart]


def bar_chart(title: str, rows: Sequence[BenchRow]) -> str:
    """An SVG with a bar for each row; bars with the same unit share a scale."""
    longest = {row.unit: max(_medians(rows, row.unit)) for row in rows}
    width, height = LABELS_WIDTH + BARS_WIDTH + 110, (len(rows) + 2) * ROW_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="8" y="18" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = (number + 1) * ROW_HEIGHT + 8
        length = BARS_WIDTH * row.median / (longest[row.unit] or 1)
        colour = "#b0b0b0" if row.reference is None else "#3a7ca5"
        label = escape(f"{row.group}: {row.name}")
        value = escape(f"{_number(row.median)} {row.unit}")
        middle = y + ROW_HEIGHT - 9
        parts += [
            f'<text x="{LABELS_WIDTH - 6}" y="{middle}" text-anchor="end">{label}</text>',
            f'<rect x="{LABELS_WIDTH}" y="{y}" width="{max(length, 1):.0f}"'
            f' height="{ROW_HEIGHT - 6}" fill="{colour}"/>',
            f'<text x="{LABELS_WIDTH + max(length, 1) + 6:.0f}" y="{middle}">{value}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _medians(rows: Iterable[BenchRow], unit: str) -> list[float]:
    return [row.median for row in rows if row.unit == unit]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _ratio_text(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
