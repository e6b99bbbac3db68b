"""The text of `README.md`: what the pipeline is, and how it is run."""

from __future__ import annotations

from collections.abc import Sequence

from operations.new.plan import Plan
from runtime.remedies import MILLRACE

FILES = """
| file | holds |
|---|---|
| `contract.schema.json` | the fields of a message, with the reason of each guess |
| `pipeline.py` | what is derived, stored and counted |
| `tables.cql` | tables of Cassandra |
| `tables.sql` | table of PostgreSQL |
| `test_pipeline.py` | tests of records, run by `pytest` |
"""


def readme(plan: Plan, origin: str, notes: Sequence[str]) -> str:
    """Markdown for the folder."""
    topic = plan.topic or plan.name
    tables = ", ".join(f"`{plan.name}.{table.name}`" for table in plan.tables)
    counted = ", ".join(f"`{each.name}`" for each in plan.aggregates)
    check = ["", "Check what the sample could not show:", "", *(f"- {note}" for note in notes)]
    lines = [
        f"# {plan.name}",
        "",
        f"Reads the topic `{topic}`; a record is identified by {_names(plan.ids)}."
        f" Written from the sample {origin}.",
        "",
        f"- Cassandra: {tables}",
        f"- MongoDB: {counted}",
        f"- files `{plan.name}`, PostgreSQL `{plan.name}`",
        *(check if notes else []),
        FILES,
        "```bash",
        f"{MILLRACE} check {plan.name}       # contract, declaration and tables fit together",
        f"{MILLRACE} try {plan.name} FILE    # judge records without any service",
        f"make run PIPELINE={plan.name}    # from nothing to verified results",
        f"{MILLRACE} send {plan.name} FILE   # send records of your own",
        "```",
        "",
    ]
    return "\n".join(lines)


def _names(columns: Sequence[str]) -> str:
    return " and ".join(f"`{column}`" for column in columns)
