"""Code, ledger and checkpoint compared before a start: a misfit is refused, with the fix."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from errors import JobError, SinkRejected
from operations.verify.accounts import take_accounts
from spark_jobs.aggregates import hour
from spark_jobs.pipeline import Pipeline
from spark_jobs.profiles import PROFILES
from spark_jobs.run.job import check_pipelines
from spark_jobs.sinks.base import Batch, Sink
from spark_jobs.sinks.files.sink import FilesSink
from spark_jobs.sinks.postgres import PostgresSink
from spark_jobs.start_checks.fingerprint import FILE_NAME, fingerprint
from spark_jobs.start_checks.guard import check_places
from spark_jobs.state.checkpoint import checkpoint_of
from spark_jobs.state.ledger import Counts, Ledger
from spark_jobs.tickets import TICKETS
from tests.integration.test_own_repair import replayed
from tests.integration.test_tickets_pipeline import ticket
from tests.support.pipelines import MakeWorld
from tests.support.postgres import MakeDatabase
from tests.support.starts import age_out, crash, entries, run, tickets
from tests.support.world import World


def with_other_code(world: World) -> World:
    """The same pipeline, but every team is another one."""

    def classify(messages: Any, digests: Any) -> Any:
        return TICKETS.judge(messages, digests).withColumn("assigned_team", F.lit("Another"))

    return dataclasses.replace(
        world, pipeline=dataclasses.replace(world.pipeline, classify_by=classify)
    )


def test_other_code_goes_on_between_batches_but_not_within_one(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    world.send(ticket("C"), partition=0)
    other = with_other_code(world)
    with monkeypatch.context() as patched:
        patched.setattr("spark_jobs.sinks.mongodb.MongoAggregates.apply", crash)
        with pytest.raises(JobError, match="on purpose"):
            run(other)

    with pytest.raises(JobError) as refused:
        run(world)
    text = str(refused.value)
    assert "batch 1 (1 messages) was begun by different code" in text
    assert "`--accept-code`" in text
    run(world, code=True)

    assert world.totals() == Counts(read=3, stored=3)
    assert len({entry.code_fingerprint for entry in entries(world)}) == 1
    assert {row["assigned_team"] for row in world.rows("tickets")} == {"Billing"}
    world.send(ticket("D"), partition=0)
    run(other)
    assert len({entry.code_fingerprint for entry in entries(world)}) == 2


def test_state_of_another_spark_is_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    path = checkpoint_of(world.settings, world.pipeline.name).path / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"spark": "3.4"}))

    with pytest.raises(JobError) as refused:
        run(world, code=True)

    assert "spark 3.4, now 3.5" in str(refused.value)
    assert "the ids of 2 stored records" in str(refused.value)


def test_declaration_that_stored_records_do_not_fit_is_refused(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    by_hour = dataclasses.replace(TICKETS.aggregates[0], by=(hour("created_at"), "assigned_team"))
    changed = dataclasses.replace(
        world.pipeline, aggregates=(by_hour, *world.pipeline.aggregates[1:])
    )
    world.send(ticket("C"), partition=0)

    with pytest.raises(JobError) as refused:
        run(dataclasses.replace(world, pipeline=changed))

    text = str(refused.value)
    assert "the dimensions of aggregate `tickets_by_team` changed" in text
    assert "undo the change" in text
    assert world.totals() == Counts(read=2, stored=2)
    run(world)
    assert world.totals() == Counts(read=3, stored=3)


def test_all_findings_are_listed_together_and_each_prevents_the_start(
    make_world: MakeWorld,
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    world.send(*tickets("C", "D"), partition=0)
    age_out(world, 3)
    world.database["batches"].update_many({}, {"$set": {"hash_key_id": "12345678"}})

    with pytest.raises(JobError) as refused:
        run(world, changes={"sinks": ("mongodb",)})

    text = str(refused.value)
    assert "cassandra would be dropped: they keep what they hold of the 2 stored records" in text
    assert "made with the key `12345678`" in text
    assert "1 messages of the topic" in text
    assert text.count("Pipeline tickets: ") == 3
    assert text.count("make reset PIPELINE=tickets") == 3


def test_findings_of_several_pipelines_are_listed_together(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    run(world)
    world.database["batches"].update_many({}, {"$set": {"sinks": ["mongodb"]}})
    settings = world.settings.model_copy(update={"profiles_topic": "there-is-no-such-topic"})

    with pytest.raises(JobError) as refused:
        check_pipelines([PROFILES, world.pipeline], settings)

    assert "There is no topic `there-is-no-such-topic`" in str(refused.value)
    assert "earlier batches went to `mongodb`" in str(refused.value)


def test_older_ledger_is_refused_with_what_it_lacks(make_world: MakeWorld) -> None:
    world = make_world(TICKETS)
    for names in ("AB", "C", "DEF"):
        world.send(*tickets(*names), partition=0)
        run(world)
    world.database["batches"].delete_many({"batch_id": {"$gte": 1}})

    with pytest.raises(JobError) as refused:
        run(world)

    text = str(refused.value)
    assert "committed batch 2), the ledger ends with batch 0 and lacks 4 offsets" in text
    assert f".venv/bin/millrace replay --topic {world.topic} --sink mongodb`" in text


def test_lost_checkpoint_is_refused_with_the_records_concerned(make_world: MakeWorld) -> None:
    import shutil

    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), (None, b"no ticket"), partition=0)
    run(world)
    shutil.rmtree(checkpoint_of(world.settings, world.pipeline.name).path)

    with pytest.raises(JobError) as refused:
        run(world)

    text = str(refused.value)
    assert "is gone. Reading the topic again would count all 3 messages twice" in text
    assert "including 2 stored records" in text


@pytest.mark.parametrize("pipeline", [TICKETS, PROFILES], ids=lambda p: p.name)
def test_fingerprint_depends_on_the_code_alone(make_world: MakeWorld, pipeline: Pipeline) -> None:
    world = make_world(pipeline)
    settings = world.settings
    others = settings.model_copy(
        update={
            "kafka_bootstrap_servers": "elsewhere:9092",
            "pii_hash_key": type(settings.mongo_uri)("another key"),
            "max_records_per_batch": 7,
            "deduplication_days": 3,
            f"{pipeline.name}_topic": "other",
        }
    )

    present = fingerprint(pipeline, settings, world.spark)

    assert fingerprint(pipeline, others, world.spark) == present
    changed = dataclasses.replace(
        pipeline,
        classify_by=lambda messages, digests: pipeline.judge(messages, digests).withColumn(
            "outcome", F.lower("outcome")
        ),
    )
    other = fingerprint(changed, settings, world.spark)
    assert (other.state, other.rows == present.rows) == (present.state, False)


def test_another_place_for_files_is_refused_until_it_has_all_records(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    former: dict[str, Any] = {"sinks": ("cassandra", "files", "mongodb")}
    world.process(**former)
    world.send(ticket("C"), partition=0)
    other = former | {"output_path": str(tmp_path / "another")}

    with pytest.raises(JobError) as refused:
        world.process(**other)

    text = " ".join(str(refused.value).split())
    assert f"OUTPUT_PATH is `{tmp_path / 'another'}`, where" in text
    assert "New records would lie apart from the 2 stored ones" in text
    assert f"replay --topic {world.topic} --sink files" in text
    filled = dataclasses.replace(world, settings=world.settings.model_copy(update=other))
    replayed(filled, "files")
    filled.process()
    (account,) = take_accounts(filled.settings, world.database, world.spark, [world.pipeline])
    assert account.faults == []
    assert account.counts.stored == 3


def test_place_without_the_last_batch_is_refused_until_it_is_filled(
    make_world: MakeWorld,
    make_database: MakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A replay that ended after its first batch, a former place, and an empty database."""
    world = make_world(TICKETS)
    sinks = ("cassandra", "files", "postgres", "mongodb")
    first = world.settings.model_copy(update={"sinks": sinks})
    world = dataclasses.replace(world, settings=first)
    world.send(*tickets("A", "B"), partition=0)
    world.process()
    world.send(ticket("C"), partition=0)
    world.process()
    # Nothing of it is stored, so no sink has a third batch.
    world.send(ticket("C"), partition=0)
    world.process()
    places = {
        "files": {"output_path": str(tmp_path / "second")},
        "postgres": {"postgres_dsn": make_database()},
    }
    for sink, place in places.items():
        other = dataclasses.replace(world, settings=first.model_copy(update=place))
        with monkeypatch.context() as patched:
            dies_in_batch(last_stored(world), sink, patched)
            with pytest.raises(SinkRejected, match="died"):
                replayed(other, sink)
        (text,) = refusals(other)
        assert f"lacks batch {last_stored(world)} of the ledger" in text
        assert "New records would lie apart from the 3 stored ones" in text
        assert f"replay --topic {world.topic} --sink {sink}" in text
        replayed(other, sink)
        assert refusals(other) == []

    world.send(ticket("D"), partition=0)
    second = first.model_copy(update=places["files"] | places["postgres"])
    world = dataclasses.replace(world, settings=second)
    world.process()
    (account,) = take_accounts(second, world.database, world.spark, [world.pipeline])
    assert account.faults == []

    texts = refusals(dataclasses.replace(world, settings=first))
    assert {text.split(": ")[1] for text in texts} == {"files", "PostgreSQL"}
    assert all(f"lacks batch {last_stored(world)} of the ledger" in text for text in texts)


def last_stored(world: World) -> int:
    ledger = Ledger(world.database, world.pipeline.name)
    return [entry.batch_id for entry in ledger.entries() if entry.counts.stored][-1]


def dies_in_batch(number: int, sink: str, patched: pytest.MonkeyPatch) -> None:
    kinds: dict[str, type[Sink]] = {"files": FilesSink, "postgres": PostgresSink}
    write = kinds[sink].write_batch

    def write_or_die(self: Any, batch: Batch, batch_id: int) -> None:
        if batch_id == number:
            raise SinkRejected("died")
        write(self, batch, batch_id)

    patched.setattr(kinds[sink], "write_batch", write_or_die)


def refusals(world: World) -> list[str]:
    ledger = Ledger(world.database, world.pipeline.name)
    found = check_places(world.pipeline, world.settings, ledger)
    return [" ".join(text.split()) for text in found]


def test_checkpoint_that_lost_its_commits_is_refused(make_world: MakeWorld) -> None:
    """As when its deletion was cut short: Spark would go on behind what the stores never got."""
    world = make_world(TICKETS)
    world.send(*tickets("A", "B"), partition=0)
    world.process(max_records_per_batch=1)
    world.database["batches"].delete_many({})
    commits = checkpoint_of(world.settings, world.pipeline.name).path / "commits"
    for file in commits.iterdir():
        file.unlink()

    with pytest.raises(JobError, match=r"has processed 1 offsets, but the ledger .* is empty"):
        run(world)
