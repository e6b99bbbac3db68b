"""Shows what the jobs of this process do: which batch of which pipeline is at which step."""

from __future__ import annotations

from operations.activity import Activities, Activity
from operations.pipelines import topic_offsets
from settings import Settings
from spark_jobs.run.watching import READING, Watcher
from spark_jobs.state.ledger import Entry

WAITING = "waits for messages"


class JobActivity(Watcher):
    """An activity for each pipeline, from its start to the job's end."""

    def __init__(self, settings: Settings, activities: Activities, *, counts: bool = False) -> None:
        """Show nothing yet; `counts` if the job ends with what is on the topics now."""
        self._settings, self._activities, self._counts = settings, activities, counts
        self._rows: dict[str, Activity] = {}
        self._has_compiled: set[str] = set()
        self._checks: Activity | None = None

    def expected(self) -> None:
        """Show that the jobs check whether they may start, until the first one does."""
        self._checks = self._activities.begin("jobs: check code, checkpoints and ledgers")

    def started(self, pipeline: str, topic: str, last: Entry | None) -> None:
        """Begin a pipeline's line, with the number of messages that wait for it."""
        if self._checks is not None:
            self._activities.end(self._checks)
        if pipeline in self._rows:
            return
        row = self._rows[pipeline] = self._activities.begin(f"{pipeline}: starts its query")
        if self._counts:
            ends = last.offsets if last else {}
            row.total = sum(
                max(high - max(low, ends.get(partition, (0, 0))[1]), 0)
                for partition, (low, high) in topic_offsets(self._settings, topic).items()
            )

    def at_step(self, pipeline: str, batch_id: int, step: str) -> None:
        """Show the step of a batch."""
        words = f"writes to {step}"
        if step == READING:
            is_first = pipeline not in self._has_compiled
            words = "reads and checks" + (" (the first one: Spark compiles)" if is_first else "")
        self._row(pipeline).now(f"{pipeline}: batch {batch_id} {words}")

    def not_written(self, pipeline: str, sink: str) -> None:
        """Show that a batch will be repeated."""
        self._row(pipeline).now(f"{pipeline}: {sink} did not take the batch, it will be repeated")

    def confirmed(self, entry: Entry) -> None:
        """Count a batch."""
        self._has_compiled.add(entry.pipeline)
        row = self._row(entry.pipeline)
        row.done = min(row.done + entry.counts.read, row.total)
        row.now(f"{entry.pipeline}: {WAITING}")

    def ended(self) -> None:
        """End all lines."""
        for row in self._rows.values():
            self._activities.end(row)

    def _row(self, pipeline: str) -> Activity:
        if pipeline not in self._rows:
            self._rows[pipeline] = self._activities.begin(pipeline)
        return self._rows[pipeline]
