"""Checks that each snapshot file equals the GROUP BY over all stored records."""

from __future__ import annotations

from pyspark.sql import DataFrame

from operations.verify.differences import Document, differences
from operations.verify.expected_aggregates import expected_documents
from operations.verify.sink_contents import SinkReading
from spark_jobs.aggregates import WHOLE
from spark_jobs.targets import Snapshot


def totals_faults(
    reading: SinkReading, records: DataFrame, source: str
) -> tuple[list[str], list[str]]:
    """Faults and notes about the totals that sinks store."""
    faults: list[str] = []
    notes: list[str] = []
    declared = {snapshot.name: snapshot for snapshot in reading.pipeline.snapshots}
    for sink in reading.sinks:
        if (totals := sink.totals()) is None:
            continue
        if totals.last_batch is not None and totals.last_batch > reading.last_batch:
            last = totals.last_batch
            notes.append(
                f"{sink.store}: the snapshots hold batch {last}, which is unfinished: not checked"
            )
            continue
        expected = {name: expected_rows(records, each) for name, each in declared.items()}
        for name, place, rows in totals.tables:
            column = declared[name].by
            found = [row | {"_id": row[column] if column else WHOLE} for row in rows]
            faults += differences(f"{sink.store} {place}", source, expected[name], found)
    return faults, notes


def expected_rows(records: DataFrame, snapshot: Snapshot) -> dict[str, Document]:
    """The rows that a snapshot must hold, by the value it is grouped by.

    Columns in: those that the snapshot's aggregate names.
    """
    documents = expected_documents(records, snapshot.aggregate.over(snapshot.by))
    return {
        name: {column: document[column] for column in snapshot.columns}
        for name, document in documents.items()
    }
