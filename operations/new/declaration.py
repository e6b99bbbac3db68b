"""The text of `pipeline.py`: the declaration that a plan is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from operations.new.plan import AggregatePlan, Plan, TablePlan

INDENT = "    "


def declaration(plan: Plan) -> str:
    """Python source that declares `PIPELINE`."""
    parts: list[str] = []
    if plan.topic:
        parts.append(f"reads={_text(plan.topic)},")
    if plan.derived:
        parts += [
            "# Column -> Spark SQL, computed for every valid record.",
            f"derived={_mapping(plan.derived)},",
        ]
    parts.append(f"tables={_tuple(_table(plan.name, table) for table in plan.tables)},")
    parts.append(f"sql_tables=(SqlTable({_text(plan.name)}),),")
    day = f", day={_text(plan.file_day)}" if plan.file_day else ""
    parts.append(f"file_sets=(FileSet({_text(plan.name)}{day}),),")
    parts.append(f"aggregates={_tuple(map(_aggregate, plan.aggregates))},")
    if plan.clear:
        parts += [
            "# Personal data that is stored as it is, because it is the id.",
            f"clear={_tuple(map(_text, plan.clear))},",
        ]
    body = "\n".join(f"{INDENT}{line}" for part in parts for line in part.splitlines())
    return (
        f'"""Pipeline *{plan.name}*: topic `{plan.topic or plan.name}`, one row per record."""\n\n'
        f"from millrace import {', '.join(_names(body))}\n\nPIPELINE = Pipeline(\n{body}\n)\n"
    )


def _names(body: str) -> list[str]:
    """What the declaration uses, in the order of isort: classes, then functions."""
    classes = ["Aggregate", "FileSet", "Pipeline", "SqlTable", "Table"]
    functions = ["average", "count", "day", "distinct", "total"]
    return [*classes, *(name for name in functions if f"{name}(" in body)]


def _table(keyspace: str, plan: TablePlan) -> str:
    words = [_text(f"{keyspace}.{plan.name}")]
    if plan.stand_ins:
        words.append(f"stand_ins={_mapping(plan.stand_ins)}")
    if plan.shards > 1:
        words.append(f"shards={plan.shards}")
    return _call("Table", words)


def _aggregate(plan: AggregatePlan) -> str:
    measures = [f"{_text(name)}: {source}" for name, source in plan.measures.items()]
    by = "()" if not plan.by else f"({', '.join(plan.by)}{',' if len(plan.by) == 1 else ''})"
    return _call("Aggregate", [_text(plan.name), f"by={by}", f"measures={_braced(measures)}"])


def _call(name: str, words: Sequence[str]) -> str:
    one = f"{name}({', '.join(words)})"
    if len(one) <= 84 and "\n" not in one:
        return one
    return f"{name}(\n{_indented(words)}\n)"


def _braced(items: Sequence[str]) -> str:
    one = f"{{{', '.join(items)}}}"
    return one if len(one) <= 70 else f"{{\n{_indented(items)}\n}}"


def _indented(items: Iterable[str]) -> str:
    return "\n".join(f"{INDENT}{line}" for each in items for line in f"{each},".splitlines())


def _mapping(pairs: Mapping[str, str]) -> str:
    return _braced([f"{_text(name)}: {_text(value)}" for name, value in pairs.items()])


def _tuple(items: Iterable[str]) -> str:
    return f"(\n{_indented(items)}\n)"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
