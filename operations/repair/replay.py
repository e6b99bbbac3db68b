"""`millrace replay`: applies a range of a topic to one sink again.

It is for a sink that fell behind or was restored from an older backup. `cassandra`: the rows of
the range are upserted. `mongodb`: the range is widened to whole batches, and each is applied with
its own number, so documents that already have it do not change; batches that Spark has committed
and an older ledger lacks come from the checkpoint and are added to the ledger.

Which message of an id was stored follows from the batches: the first batch, in it the lowest
(Kafka timestamp, partition, offset). So a replay reads all ids from the beginning of the topic to
the end of the range; the cost is linear. An id that was sent again after `DEDUPLICATION_DAYS` is
outside the promise; a batch with such an id differs from the ledger and is refused. Batches that
the ledger lacks are refused if first messages within `DEDUPLICATION_DAYS` are gone.

If jobs of a pipeline's sinks have ledgers of their own, the one that feeds the sink is replayed.
"""

from __future__ import annotations

from pymongo.database import Database

from operations.activity import showing, shown
from operations.pipelines import topic_offsets
from operations.repair.apply import Replayed, apply_replay
from operations.repair.part import of_part
from operations.repair.plan import ReplayPlan, plan_replay
from operations.repair.range import ReplayRequest, understood
from operations.spark_session import repair_session
from operations.tables import say
from runtime import remedies
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.run.command import start_logging
from spark_jobs.run.locks import locked
from spark_jobs.sinks.mongodb import check_mongodb, confirmed_database, connect_mongodb
from spark_jobs.start_checks.sink_ownership import claimed
from spark_jobs.state.ledger import Document


def replay(settings: Settings, topic: str, start: str, end: str, sink: str) -> int:
    """Apply a range again, given the command line's options; returns the exit code.

    Raises:
        MillraceError: an option is invalid, a job is running, messages are gone, or a store is
            unavailable.
    """
    request = understood(settings, topic, start, end, sink, pipelines_of(settings))
    start_logging(settings, to_terminal=False)
    with connect_mongodb(settings) as client:
        check_mongodb(client, settings)
        database = confirmed_database(client, settings)
        own, of_own = of_part(settings, database, request)
        with locked([of_own.pipeline], settings):
            if _has_replayed(own, database, of_own):
                say(f"verify with `{remedies.verify(settings)}`")
    return 0


def _has_replayed(settings: Settings, database: Database[Document], request: ReplayRequest) -> bool:
    """Apply a range of a part whose lock is held; whether it had anything to replay."""
    with showing("replay: looks up the batches of the range"):
        plan = planned(settings, database, request)
    _announce(plan)
    if not plan.replayed:
        return False
    # As at a job's start: no other job may feed what this one does.
    claimed([plan.pipeline], settings, database)
    with (
        shown() as seen,
        repair_session(settings, "replay", seen.say, activities=seen) as spark,
        seen.doing(f"replay: {len(plan.replayed)} batches to {plan.sink_name}"),
    ):
        done = apply_replay(plan, settings, spark, database, seen.say)
    _report(plan, done)
    return True


def planned(settings: Settings, database: Database[Document], request: ReplayRequest) -> ReplayPlan:
    """The plan of a request for the present topic, ledger and checkpoint."""
    on_broker = topic_offsets(settings, request.pipeline.topic(settings))
    return plan_replay(settings, database, request, on_broker)


def _announce(plan: ReplayPlan) -> None:
    if plan.left_out:
        say(
            f"skipped: {plan.left_out} batches whose messages are no longer on the broker"
            " (`--from earliest` begins after them)"
        )
    if not plan.replayed:
        say("there is no confirmed batch in this range; nothing was replayed")


def _report(plan: ReplayPlan, done: Replayed) -> None:
    first, last = plan.replayed[0].batch_id, plan.replayed[-1].batch_id
    say(f"replayed to {plan.sink_name}: batches {first} to {last}, {done.messages} messages")
    for what, number in done.written.items():
        say(f"  {what}: {number}")
