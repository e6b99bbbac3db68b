"""Where pages get what they show. Methods raise `MillraceError`, in words for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

from pymongo.database import Database
from pymongo.errors import PyMongoError

from dashboard.aggregates import read_chart
from dashboard.ledger_history import read_history
from dashboard.source import Chart, Declared, LedgerHistory
from errors import PipelineError
from operations.masking import hidden_aggregates
from operations.overview.collect import Observer
from operations.overview.model import Overview
from operations.overview.records import (
    LetterPage,
    RecordTable,
    Row,
    RowPage,
    dead_letter_page,
    partitions,
    record_page,
    record_tables,
)
from operations.overview.stores import OpenStores
from operations.trace.model import Limits
from runtime.config.pipeline_folders import pipeline_folders
from settings import Settings
from spark_jobs.aggregates import Aggregate
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.driver_errors import explained_mongodb
from spark_jobs.state.ledger import Document

if TYPE_CHECKING:
    from operations.trace.model import Trace

# Batches of a chart.
HISTORY: Final = 240
# A page that waits for longer had better say so.
STORE_SECONDS: Final = 5.0
# Of each topic; `millrace trace` reads more.
TRACED_MESSAGES: Final = 20_000
# How often a declaration with faults is read again.
FOLLOW_EVERY_SECONDS: Final = 2.0
Answer = TypeVar("Answer")


class LiveSource:
    """Reads broker and stores; connects on first use.

    Attributes:
        declared: The pipelines by name.
        tables: The tables whose rows can be looked at.
    """

    declared: Mapping[str, Declared]
    tables: Mapping[str, RecordTable]

    def __init__(self, settings: Settings) -> None:
        """Find the pipelines; no service is asked yet.

        Raises:
            PipelineError: a declaration has faults.
        """
        self._settings = settings
        self._stores = OpenStores(settings, STORE_SECONDS)
        self._observer: Observer | None = None
        self._lock, self._again_at, self._trouble = Lock(), 0.0, ""
        self._find(pipeline_folders(settings.pipelines_path))

    def _find(self, folders: tuple[str, ...]) -> None:
        self._pipelines = pipelines_of(self._settings)
        self.declared = {
            each.name: Declared(
                each.name,
                tuple(a for a in each.aggregates if a.name not in hidden),
                each.id_columns,
                tuple(part.name for part in each.parts() if part.name != each.name),
                tuple(sorted(hidden)),
            )
            for each in self._pipelines
            for hidden in [hidden_aggregates(each)]
        }
        self.tables = record_tables(self._settings)
        self._folders, self._trouble = folders, ""

    def follow(self) -> None:
        """Find the pipelines again if a folder has come or gone since.

        While one of them has faults the others stay as they are, and overviews name the faults.
        """
        with self._lock:
            folders = pipeline_folders(self._settings.pipelines_path)
            if folders == self._folders:
                self._trouble = ""
            elif time.monotonic() >= self._again_at:
                try:
                    self._find(folders)
                except PipelineError as error:
                    self._trouble = str(error)
                    self._again_at = time.monotonic() + FOLLOW_EVERY_SECONDS

    def overview(self) -> Overview:
        """What is seen now."""
        with self._lock:
            pipelines, trouble = self._pipelines, self._trouble
        if self._observer is None or self._observer.pipelines is not pipelines:
            self._close_observer()
            self._observer = Observer(self._settings, HISTORY, pipelines=pipelines)
        seen = self._observer.look()
        return replace(seen, troubles=(*seen.troubles, trouble)) if trouble else seen

    def chart(self, aggregate: Aggregate, measure: str) -> Chart:
        """A measure of an aggregate, from its collection."""
        return self._asked(lambda database: read_chart(database, aggregate, measure))

    def history(self, pipeline: str) -> LedgerHistory:
        """Messages over time, from the ledger of a pipeline or of a part of one."""
        return self._asked(lambda database: read_history(database, pipeline))

    def _asked(self, question: Callable[[Database[Document]], Answer]) -> Answer:
        """MongoDB's answer; it is not asked if it has just not answered."""

        def asked() -> Answer:
            try:
                return question(self._stores.database)
            except PyMongoError as error:
                raise explained_mongodb(error, self._settings) from error

        return self._stores.asked("mongodb", asked)

    def partitions(self, table: RecordTable) -> tuple[list[Row], bool]:
        """Keys of a table's partitions, and whether there are more."""
        return partitions(self._stores, table)

    def rows(self, table: RecordTable, key: Mapping[str, str], page: str | None) -> RowPage:
        """Rows of one partition, masked."""
        return record_page(self._stores, table, key, page=page)

    def dead_letters(
        self, pipeline: str | None, reason: str | None, page: str | None
    ) -> LetterPage:
        """Dead letters with their content, masked."""
        return dead_letter_page(self._stores, pipeline, reason, page=page)

    def trace(self, asked: str) -> Trace:
        """What is known of a record, by its id or by `topic/partition/offset`."""
        # Loads the drivers of all stores, which a start need not wait for.
        from operations.trace.find import find

        return find(self._stores, asked, self._pipelines, Limits(TRACED_MESSAGES))

    def close(self) -> None:
        """Close what is open."""
        self._stores.close()
        self._close_observer()

    def _close_observer(self) -> None:
        if self._observer is not None:
            self._observer.__exit__(None, None, None)
