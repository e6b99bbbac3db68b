"""Offset ranges by partition: their width, overlap and description."""

from __future__ import annotations

from collections.abc import Mapping

Ranges = Mapping[int, tuple[int, int]]


def width(ranges: Ranges) -> int:
    """Number of offsets in the ranges."""
    return sum(max(0, end - start) for start, end in ranges.values())


def overlap(ranges: Ranges, others: Ranges) -> dict[int, tuple[int, int]]:
    """The offsets that are in both."""
    both = {
        partition: (max(start, others[partition][0]), min(end, others[partition][1]))
        for partition, (start, end) in ranges.items()
        if partition in others
    }
    return {partition: (start, end) for partition, (start, end) in both.items() if start < end}


def ranges_in_words(ranges: Ranges) -> str:
    """Ranges as text: `partition 0, offsets 5 to 104; partition 2, offset 7`."""
    return "; ".join(
        f"partition {partition}, "
        + (f"offsets {start} to {end - 1}" if end - start > 1 else f"offset {start}")
        for partition, (start, end) in sorted(ranges.items())
        if end > start
    )
