"""Waits until the commit log of Cassandra is on disk, where no other node has a copy.

With `commitlog_sync: periodic`, its default, a node confirms a write before it syncs its log, and
`kill -9` costs what was not synced: ledger and checkpoint would name rows that are gone. A node
lets a write wait only while its last sync began longer ago than the *lag block*. So whoever pauses
that long and then writes is confirmed only when everything before the pause is on disk
(`PeriodicCommitLogService.maybeWaitForSync`, Cassandra 5.0). That write is a serial read: Paxos
writes down its ballot, and no row changes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from spark_jobs.targets import Table

# Cassandra's own where the lag block is not set.
PERIODS_OF_A_LAG: Final = 1.5
# No pause is longer: Cassandra's defaults would need 15 s for each batch.
LONGEST_PAUSE_SECONDS: Final = 0.5
SETTINGS: Final = """SELECT name, value FROM system_views.settings WHERE name IN (
    'commitlog_sync', 'commitlog_sync_period_in_ms', 'periodic_commitlog_sync_lag_block_in_ms')"""


def lag_seconds(settings: Mapping[str, str | None]) -> float:
    """For how long a node may confirm writes that a kill costs; 0: for no time.

    Args:
        settings: The rows of `SETTINGS`: name -> value.
    """
    if settings.get("commitlog_sync") != "periodic":
        return 0
    period = float(settings["commitlog_sync_period_in_ms"] or 0)
    lag = settings["periodic_commitlog_sync_lag_block_in_ms"]
    return float(lag or period * PERIODS_OF_A_LAG) / 1000


def until_synced(log: Any, connector: Any, table: Table, since: float) -> None:
    """Return when the node's log on disk has all that was confirmed before `since`.

    At once if it syncs before it confirms, if the node does not say how it syncs, or if the pause
    would be longer than `LONGEST_PAUSE_SECONDS`: `make doctor` says so.

    Args:
        log: The class `CassandraLog`.
        connector: The connector, of whose sessions it uses one.
        table: A table of the node.
        since: By `time.monotonic`.

    Raises:
        Py4JJavaError: the node did not answer.
    """
    pause_seconds = lag_seconds(log.settings(connector, SETTINGS))
    if 0 < pause_seconds <= LONGEST_PAUSE_SECONDS:
        time.sleep(max(0, since + pause_seconds - time.monotonic()))
        key = [name for name, kind, _ in table.declared.key if kind == "partition_key"]
        log.serialRead(connector, table.place, ",".join(key))
