"""A customer file that is sent in parts: each continues at the row after the last one."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from producers import csv_text
from tests.support.csv_files import ANN, BOM, COLUMNS, HEADER, Sent, row


def hard_rows() -> str:
    """Rows with everything that may stand in a field, and rows that are skipped."""
    rng = random.Random(7)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number in range(300):
        address = "".join(rng.choices('aé😀,;"\n \\', k=rng.randrange(12)))
        writer.writerow([str(number), *ANN[1:5], address, *ANN[6:]])
        if number % 10 == 0:
            text.write(rng.choice(("\n", f"{',' * 10}\n", f"{row('a, b')}\n", f"{HEADER}\n")))
    return text.getvalue()


@pytest.mark.parametrize(
    "form",
    [
        lambda text: text.encode(),
        lambda text: (BOM + text).encode("utf-16-be"),
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress((BOM + text).encode("utf-32-le")),
        lambda text: f"sep=,\n{text}".encode(),
    ],
    ids=["plain", "UTF-16", "gzip", "gzip of UTF-32", "sep="],
)
def test_every_form_resumes_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[str], bytes]
) -> None:
    monkeypatch.setattr(csv_text, "TEXT_PAGE_BYTES", 1000)
    path = tmp_path / "customers"
    path.write_bytes(form(hard_rows()))
    whole = Sent(path, tmp_path / "whole")
    assert len(whole.rows) == 300

    parts = [Sent(path, tmp_path / "parts", stop_after=37) for _ in range(9)]

    assert [row for part in parts for row in part.rows] == whole.rows
    assert parts[-1].account.endswith("whole file done")
    assert parts[0].account.partition("; continues at line ")[2].isdigit()
