"""Checks that each snapshot file equals the GROUP BY over all stored records."""

from __future__ import annotations

from pyspark.sql import DataFrame

from operations.verify.differences import Document, differences
from operations.verify.expected_aggregates import expected_documents
from operations.verify.sink_contents import SinkReading
from operations.verify.spark_errors import apart
from spark_jobs.aggregates import WHOLE
from spark_jobs.sinks.base import Sink
from spark_jobs.targets import Snapshot


def totals_faults(
    reading: SinkReading,
    sink: Sink,
    records: DataFrame,
    source: str,
    faults: list[str],
    notes: list[str],
) -> None:
    """Add the faults and notes about the totals that a sink stores."""
    if (totals := sink.totals()) is None:
        return
    if totals.last_batch is not None and totals.last_batch > reading.last_batch:
        notes.append(
            f"{sink.store}: the snapshots hold batch {totals.last_batch}, which is unfinished:"
            " not checked"
        )
        return
    declared = {snapshot.name: snapshot for snapshot in reading.pipeline.snapshots}
    expected = {name: expected_rows(records, each) for name, each in declared.items()}
    for name, place, read in totals.tables:
        with apart(faults, f"{sink.store} {place}", reading.settings, sink.unreadable):
            column = declared[name].by
            found = [row | {"_id": row[column] if column else WHOLE} for row in read()]
            faults += differences(f"{sink.store} {place}", source, expected[name], found)


def expected_rows(records: DataFrame, snapshot: Snapshot) -> dict[str, Document]:
    """The rows that a snapshot must hold, by the value it is grouped by.

    Columns in: those that the snapshot's aggregate names.
    """
    documents = expected_documents(records, snapshot.aggregate.over(snapshot.by))
    return {
        name: {column: document[column] for column in snapshot.columns}
        for name, document in documents.items()
    }
