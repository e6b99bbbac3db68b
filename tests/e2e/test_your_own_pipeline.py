"""From ten lines to verified records: docs/your-own-pipeline.md, command by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import PROJECT_ROOT, Settings
from tests.support.make import commands_of, pasted

PAGE = "docs/your-own-pipeline.md"


def test_sample_becomes_a_pipeline_whose_records_are_accounted_for(
    stack_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINES_PATH", str(tmp_path / "pipelines"))
    # Other tests' pipelines are on the same stack.
    monkeypatch.setenv("PIPELINES", "orders")
    text = (PROJECT_ROOT / PAGE).read_text()
    new, check, judged, run, verify = commands_of(PAGE, "From a sample to verified records")

    assert "id           order_id" in pasted(new)
    first, sizes, *table = pasted(check).strip().splitlines()
    assert first == "orders: no faults; 10 fields, 2 tables, 1 SQL table, 1 file set, 3 aggregates"
    assert f"```\n{first}\n```\n\nis what `check` then says first" in text
    assert sizes == "Rows and MB of one partition in Cassandra; limits: 100,000 rows, 100 MB."
    assert any("a day of one status" in line for line in table)
    assert "│ valid   │      10 │" in pasted(judged)
    shown = pasted(run)
    ending = ("│ orders   │   10 │     10 │", "Everything is accounted for: 10 messages.")
    for line in ending:
        assert line in shown
        assert line in text
    assert "verified: nothing lost, nothing doubled" in pasted(verify)
    assert {path.name for path in (tmp_path / "pipelines" / "orders").iterdir()} == {
        "README.md",
        "contract.schema.json",
        "pipeline.py",
        "tables.cql",
        "tables.sql",
        "test_pipeline.py",
    }
