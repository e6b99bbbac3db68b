"""The order of test files: those that take longest first, so that all workers end together.

pytest-xdist would begin with the files that have the most tests, and the longest here have one.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from settings import PROJECT_ROOT

# Of each tier, longest first.
LONGEST: Final = (
    "unit/test_broker_away.py",
    "unit/test_dashboard_command.py",
    "unit/test_board.py",
    "unit/test_delivery.py",
    # It keeps both processors busy: next to it run files that hold no process to its time.
    "integration/test_tampering.py",
    "e2e/test_make_run.py",
    "integration/test_fault_points.py",
    "integration/test_verify_differences.py",
    "integration/test_own_fault_points.py",
    "integration/test_verify_sinks.py",
    "integration/test_replay.py",
    "integration/test_own_repair.py",
    "e2e/test_chaos.py",
    "e2e/test_killed_jobs.py",
    "e2e/test_jobs_as_processes.py",
    "e2e/test_own_pipelines.py",
    "e2e/test_submit.py",
    "e2e/test_systems.py",
    "integration/test_types_in_stores.py",
    "e2e/test_remedies.py",
    "e2e/test_faults.py",
    "e2e/test_secrecy.py",
    "e2e/test_system_c.py",
    "e2e/test_your_own_pipeline.py",
    "integration/test_hdfs_files.py",
    "integration/test_s3_files.py",
    "integration/test_image.py",
    "integration/test_secured_servers.py",
    "integration/test_start_checks_topic.py",
    "integration/test_start_checks_state.py",
    "integration/test_customers_pipeline.py",
    "integration/test_local_stack.py",
    "integration/test_tickets_pipeline.py",
    "integration/test_guard.py",
    "integration/test_postgres_sink.py",
    "integration/test_session.py",
    "e2e/test_system_e.py",
)


def longest_first(items: list[pytest.Item]) -> None:
    """Put files that take long first, then those with many tests; a file's tests stay together."""
    ranks = {PROJECT_ROOT / "tests" / name: rank for rank, name in enumerate(LONGEST)}
    numbers = Counter(item.path for item in items)
    items.sort(key=lambda i: (ranks.get(i.path, len(ranks)), -numbers[i.path], i.path))
