"""`make chaos`: kills everything in turn under load and proves after each time that all is right.

On a stack of its own: `MILLRACE_HOME/chaos`, other ports. One round: messages wait on the topic and
more keep coming, a job works, the fault strikes. What the ledger has confirmed by then must be
right already; when the job has gone on to the end, everything must be.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from psutil import Process

from errors import MillraceError
from local_stack import stack
from operations.chaos.chaos_stack import Arena, ChaosError
from operations.chaos.fault_actions import FAULTS, Fault, Scene
from operations.own_stack import own_settings
from operations.pipelines import pipeline_named
from operations.prepare import prepare_stores
from operations.producing import Producer
from operations.tables import print_table, say
from operations.verify.account import Account
from runtime.jars import ensure_jars
from runtime.java import find_java
from runtime.sink_modules import SINK_MODULES
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.session import build_session
from spark_jobs.state.fault_points import VARIABLE

WAITING_RECORDS = 1200
COMING_RECORDS = 500
COMING_RATE = 100
CATCH_UP_SECONDS = 120
# Times that a fault point is passed before it strikes: each batch passes it once.
LATEST_PASS = 3


@dataclass(frozen=True)
class Round:
    """What happened in one round."""

    number: int
    fault: str
    pipeline: str
    messages: int
    seconds: float
    faults: Sequence[str]

    @property
    def verdict(self) -> str:
        """One or two words on how it ended."""
        return "NOT EXACT" if self.faults else "exact"


def chaos(settings: Settings, rounds: int, seed: int) -> int:
    """Play rounds of crash tests; gives exit code 0 only if every one ended exact."""
    say(f"seed {seed} (the same seed strikes at the same places: SEED={seed})")
    own = own_settings(
        settings,
        "chaos",
        "kills services",
        SINKS=",".join(SINK_MODULES),
        TRIGGER_INTERVAL_SECONDS="0",
    )
    java = find_java(own, say)
    ensure_jars(own, ["spark"], say, java)
    try:
        stack.up(own, say)
        prepare_stores(own, say)
        spark = build_session(own.model_copy(update={"spark_master": "local[2]"}), "chaos")
        arena = Arena(own, spark, own.millrace_home / "logs" / "chaos-jobs.log")
        try:
            played = play(arena, choose_faults(rounds, seed), seed)
        finally:
            arena.end_jobs()
            spark.stop()
    finally:
        stack.down(own, say)
    return report(played, seed, own)


def choose_faults(rounds: int, seed: int) -> list[Fault]:
    """Every kind of fault once, in an order by chance, before any comes again.

    Where there are fewer rounds than kinds, the named points come first.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    points = [fault for fault in FAULTS if VARIABLE in fault.environment]
    others = [fault for fault in FAULTS if VARIABLE not in fault.environment]
    chosen: list[Fault] = []
    while left := rounds - len(chosen):
        kinds = list(FAULTS)
        if len(points) <= left < len(FAULTS):
            kinds = points + chance.sample(others, left - len(points))
        chosen += chance.sample(kinds, min(left, len(kinds)))
    return chosen


def play(arena: Arena, chosen: Sequence[Fault], seed: int) -> list[Round]:
    """Play a round with each fault; the first that does not end exact is the last."""
    played: list[Round] = []
    for number, fault in enumerate(chosen, 1):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - not for secrets
        pipeline = pipeline_named(chance.choice(fault.pipelines))
        started = time.monotonic()
        try:
            faults = play_round(arena, pipeline, fault, chance)
        except MillraceError as error:
            faults = [str(error)]
        messages = arena.messages_on(pipeline)
        elapsed = time.monotonic() - started
        played.append(Round(number, fault.name, pipeline.name, messages, elapsed, faults))
        say(
            f"round {number}/{len(chosen)}: {pipeline.name}, {fault.name}:"
            f" {played[-1].verdict}, {messages} messages in all, {elapsed:.0f} s"
        )
        for line in faults:
            say(f"  {line}")
        if faults:
            break
    return played


def play_round(arena: Arena, pipeline: Pipeline, fault: Fault, chance: random.Random) -> list[str]:
    """One round; gives what was not right, in words.

    Raises:
        MillraceError: a process did not do what it must.
    """
    before = arena.messages_on(pipeline)
    sent = _sent(arena.start_producer(pipeline, WAITING_RECORDS, 0, chance.randrange(2**31)))
    environment = dict(fault.environment)
    if VARIABLE in environment:
        environment[VARIABLE] += f":{chance.randint(1, LATEST_PASS)}"
    batches = arena.confirmed_batches(pipeline)
    job = arena.start_job(pipeline, **environment)
    coming_seed = chance.randrange(2**31)
    producer = arena.start_producer(pipeline, COMING_RECORDS, COMING_RATE, coming_seed)
    fault.strike(Scene(arena, pipeline, job, producer, chance, batches))
    if fault.kills_producer:
        # Its records come again whole; those that were sent before count as duplicates.
        producer = arena.start_producer(pipeline, COMING_RECORDS, 0, coming_seed)
    if fault.ends_job:
        code = arena.wait_for_end(job)
        if code == 0:
            return ["the job ended as if nothing had happened: the fault did not strike"]
        if differing := arena.account(pipeline).faults:
            return [f"after the crash, before a restart: {line}" for line in differing]
        sent += _sent(producer)
        arena.process_all(pipeline)
    else:
        sent += _sent(producer)
        _end_when_caught_up(arena, pipeline, job)
    arrived = arena.messages_on(pipeline) - before
    return _differences(arena.account(pipeline), sent, arrived, exact=not fault.kills_producer)


def _sent(producer: Producer) -> int:
    """Records that a producer was confirmed, when it has sent all."""
    code = producer.process.wait()
    last = producer.log_path.read_text(errors="replace").splitlines()[-1:]
    if code or not last:
        raise ChaosError(f"The {producer.name} producer failed (exit code {code}): {last}")
    numbers = dict(word.split("=", 1) for word in last[0].split() if "=" in word)
    return int(numbers["delivered"])


def _end_when_caught_up(arena: Arena, pipeline: Pipeline, job: Process) -> None:
    """The job must have gone on by itself, and ends cleanly when asked."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while arena.waiting(pipeline):
        if arena.has_ended(job):
            raise ChaosError(
                "The job ended, though it must go on by itself after this fault; its log is"
                f" {arena.log_path}."
            )
        if time.monotonic() > deadline:
            raise ChaosError(
                f"The job did not catch up within {CATCH_UP_SECONDS} s after the fault; its log is"
                f" {arena.log_path}."
            )
        time.sleep(0.5)
    if code := arena.end_job(job):
        raise ChaosError(f"The job ended with exit code {code}; its log is {arena.log_path}.")


def _differences(account: Account, sent: int, arrived: int, *, exact: bool) -> list[str]:
    differing = list(account.faults)
    if account.waiting:
        differing.append(f"{account.waiting} messages were not processed")
    if arrived < sent or (exact and arrived > sent):
        differing.append(f"{sent} records were confirmed to producers, {arrived} are on the topic")
    return differing


def report(played: Sequence[Round], seed: int, settings: Settings) -> int:
    """Print what happened in each round; gives the exit code."""
    print_table(
        f"Crash tests, seed {seed}",
        ("round", "pipeline", "fault", "messages in all", "seconds", ""),
        [
            (r.number, r.pipeline, r.fault, r.messages, r.seconds, r.verdict) for r in played
        ],
    )  # fmt: skip
    if any(each.faults for each in played):
        say(
            f"NOT everything was exact. State and logs: {settings.millrace_home}; again:"
            f" `make chaos ROUNDS={len(played)} SEED={seed}`"
        )
        return 1
    say(f"{len(played)} rounds: nothing lost, nothing doubled, every aggregate exact")
    return 0
