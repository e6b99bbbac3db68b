"""Waits until the commit log of Cassandra is on disk, where no other node has a copy.

With `commitlog_sync: periodic`, its default, a node confirms a write before it syncs its log, and
`kill -9` loses what was not synced: ledger and checkpoint would name rows that are gone. A node
lets a write wait only while its last sync began longer ago than the *lag block*. So whoever pauses
that long and then writes is confirmed only when everything before the pause is on disk
(`PeriodicCommitLogService.maybeWaitForSync`, Cassandra 5.0). That write is a serial read: Paxos
writes down its ballot, and no row changes. A node that was started again has another number.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from spark_jobs.targets import Table

# Cassandra's own where the lag block is not set.
PERIODS_OF_A_LAG: Final = 1.5
# No pause is longer: Cassandra's defaults would need 15 s for each batch.
LONGEST_PAUSE_SECONDS: Final = 0.5
SETTINGS: Final = """SELECT name, value FROM system_views.settings WHERE name IN (
    'commitlog_sync', 'commitlog_sync_period_in_ms', 'periodic_commitlog_sync_lag_block_in_ms')"""
STARTED: Final = "SELECT key, CAST(gossip_generation AS text) FROM system.local"


def lag_seconds(settings: Mapping[str, str | None]) -> float | None:
    """Seconds of confirmed writes that a kill may lose; None if the node does not say.

    Args:
        settings: The rows of `SETTINGS`: name -> value.
    """
    if settings.get("commitlog_sync") in {"batch", "group"}:
        return 0
    period = settings.get("commitlog_sync_period_in_ms")
    lag = settings.get("periodic_commitlog_sync_lag_block_in_ms")
    if period is None:
        return None
    return float(lag or float(period) * PERIODS_OF_A_LAG) / 1000


@dataclass(frozen=True)
class NodeLog:
    """The log of a single node.

    Attributes:
        java: The class `CassandraLog`.
        connector: The connector, of whose sessions it uses one.
    """

    java: Any
    connector: Any

    def started(self) -> dict[str, str]:
        """A number for each start of the node."""
        return self._pairs(STARTED)

    def _pairs(self, query: str) -> dict[str, str]:
        lines = self.java.pairs(self.connector, query).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def sync(self, table: Table) -> None:
        """Return when all that was confirmed so far is on disk.

        At once if the node syncs before it confirms, if it does not say how it syncs, or if the
        pause would be longer than `LONGEST_PAUSE_SECONDS`: `make doctor` says so.

        Args:
            table: A table of the node.

        Raises:
            Py4JJavaError: the node did not answer.
        """
        pause_seconds = lag_seconds(self._pairs(SETTINGS)) or 0
        if 0 < pause_seconds <= LONGEST_PAUSE_SECONDS:
            time.sleep(pause_seconds)
            key = ",".join(table.declared.partition_key)
            self.java.serialRead(self.connector, table.place, key)
