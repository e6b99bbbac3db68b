"""How many bytes the values of columns have, measured on records and not taken from limits.

A sample in the pipeline's folder (`sample.jsonl`, CSV, Parquet …) comes first, then what the
pipeline's own producer makes, then records made from the contract.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final

from errors import MillraceError
from operations.check.row_sizes import Width, is_fixed
from producers.record_generator import RecordGenerator
from producers.samples import sample_records
from schemas.fields import Contract, FieldContract, path_of
from spark_jobs.pipeline import Pipeline

MOST_RECORDS: Final = 1_000
SEED: Final = 1
# A digest in hex, and the id of its key.
DIGEST, KEY_ID = 64, 8
# A text that nothing was measured of: a word or two.
ASSUMED_TEXT: Final = 16
# Spark's decimals have so many digits.
LONGEST_DECIMAL: Final = 38
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Widths:
    """Bytes of columns.

    Attributes:
        by_column: Each column of the contract that could be measured.
        origin: What was measured, in words.
    """

    by_column: Mapping[str, Width]
    origin: str

    def of(self, columns: Mapping[str, str]) -> tuple[dict[str, Width], list[str]]:
        """The widths of columns with these types, and those that are assumed."""
        found, assumed = {}, []
        for name, kind in columns.items():
            if name in self.by_column:
                found[name] = self.by_column[name]
            elif name == "hash_key_id":
                found[name] = Width(KEY_ID)
            elif not is_fixed(kind):
                found[name] = Width(ASSUMED_TEXT)
                assumed.append(name)
        return found, assumed


def measured(pipeline: Pipeline) -> Widths:
    """The widths of a pipeline's columns."""
    records, origin = _records(pipeline)
    return Widths(widths_of(pipeline.contract, records), origin)


def widths_of(contract: Contract, records: Iterable[Record]) -> dict[str, Width]:
    """Average width of each column that a field feeds, over these records."""
    read = [*records]
    fields: dict[str, list[FieldContract]] = defaultdict(list)
    for field in contract.fields:
        if field.column:
            fields[field.column].append(field)
    return {column: _width(feeding, read) for column, feeding in fields.items() if read}


def _width(fields: list[FieldContract], records: list[Record]) -> Width:
    """Several fields of one column are joined, or have one digest."""
    if fields[0].items:
        values = [v for r in records if (v := _found(fields[0], r)) is not None]
        elements = [_bytes(fields[0].items, each) for value in values for each in value]
        return Width(
            _mean(elements), len(values) / len(records), len(elements) / len(values or [0])
        )
    sizes = []
    for record in records:
        present = [_bytes(f, v) for f in fields if (v := _found(f, record)) is not None]
        if present:
            is_digest = fields[0].sensitivity == "hashed"
            sizes.append(DIGEST if is_digest else sum(present) + len(present) - 1)
    return Width(_mean(sizes), len(sizes) / len(records))


def _mean(sizes: list[int]) -> float:
    return sum(sizes) / len(sizes) if sizes else 0.0


def _found(field: FieldContract, record: Record) -> Any:
    """The field's value in a record, or its default; None if it is absent or blank."""
    for name in (field.name, *field.other_names):
        value: Any = record
        for part in path_of(name):
            value = value.get(part) if isinstance(value, Mapping) else None
        if field.items and not isinstance(value, list):
            continue
        if value is not None and (not isinstance(value, str) or value.strip()):
            return value
    return field.default


def _bytes(field: FieldContract, value: Any) -> int:
    """Bytes of a value whose type does not say it."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if field.kind == "decimal":
        try:
            number = Decimal(text.strip('"'))
        except ArithmeticError:
            return 0
        # A longer number is no value of the column, and would take long to compute.
        if not number.is_finite() or number.adjusted() > LONGEST_DECIMAL:
            return 0
        # Four bytes for the digits after the point, then a number with its sign.
        return 4 + int(number.scaleb(field.scale)).bit_length() // 8 + 1
    return len(text.encode(errors="replace"))


def _records(pipeline: Pipeline) -> tuple[list[Record], str]:
    for path in sorted(pipeline.folder.glob("sample.*")) if pipeline.folder else ():
        read = [record for record in _readable(_sampled(path)) if _fits(pipeline, record)]
        if read:
            return read, f"{len(read):,} record{'' if len(read) == 1 else 's'} of {path.name}"
    read = _readable(islice(_made(pipeline), MOST_RECORDS))
    if not read:
        return [], "nothing, as no record can be made from the contract"
    how = "by its producer" if pipeline.made_by else "from the contract"
    return read, f"{len(read):,} records made {how}"


def _sampled(path: Path) -> Iterator[bytes]:
    """Records of a file, as far as it can be read."""
    with suppress(MillraceError), closing(sample_records(path)) as found:  # type: ignore[type-var]
        yield from (value for _, value in islice(found, MOST_RECORDS))


def _fits(pipeline: Pipeline, record: Record) -> bool:
    """Whether a record has a field of the contract; another file may lie in the folder."""
    fields = pipeline.contract.fields
    names = (name for field in fields for name in (field.name, *field.other_names))
    return any(path_of(name)[0] in record for name in names)


def _made(pipeline: Pipeline) -> Iterator[bytes]:
    if pipeline.made_by:
        yield from import_module(pipeline.made_by.module).examples(SEED)
        return
    try:
        yield from (each.value for each in RecordGenerator(pipeline.contract, SEED).messages())
    except MillraceError:
        # The contract allows no further record.
        return


def _readable(values: Iterable[bytes]) -> list[Record]:
    read = list[Record]()
    for value in values:
        try:
            record = json.loads(value, parse_float=Decimal)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            read.append(record)
    return read
