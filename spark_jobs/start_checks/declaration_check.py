"""Compares a pipeline's declaration with that of its last job, which may have stored records."""

from __future__ import annotations

import logging

from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.start_checks.declaration_change import Change, changes
from spark_jobs.start_checks.declaration_shape import recorded_shape, shape_of
from spark_jobs.start_checks.findings import finding
from spark_jobs.state.checkpoint import checkpoint_of

logger = logging.getLogger(__name__)


def changes_since_last_job(pipeline: Pipeline, settings: Settings) -> list[Change]:
    """What changed, breaking changes first; nothing without a readable shape of the last job.

    A checkpoint on HDFS or S3 is read only once Spark runs.

    Raises:
        SinkUnavailable: the checkpoint's file system did not answer.
    """
    checkpoint = checkpoint_of(settings, pipeline.name)
    before = recorded_shape(checkpoint) if checkpoint.can_be_reached else None
    return changes(before, shape_of(pipeline)) if before else []


def check_declaration(pipeline: Pipeline, settings: Settings) -> list[str]:
    """A finding if stored records do not fit the present declaration."""
    found = changes_since_last_job(pipeline, settings)
    for change in found:
        logger.info("query=%s declaration: %s", pipeline.name, change)
    breaking = [change.text for change in found if change.kind == "breaking"]
    if not breaking:
        return []
    listed = "; ".join(breaking)
    problem = f"its declaration changed, and stored records do not fit it: {listed}."
    return [finding(settings, pipeline.name, problem, "undo the change")]
