"""`make chaos`: kills each part under load and proves after each crash that nothing is lost.

It runs on its own stack: `MILLRACE_HOME/chaos`, other ports. In a round, messages wait on the topic
and more keep coming, a job runs, and the fault occurs. What the ledger has confirmed by then must
be right; once the job has processed everything, so must everything else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from psutil import Process

from errors import MillraceError
from local_stack import stack
from operations.chaos.chaos_stack import ChaosError, ChaosStack
from operations.chaos.fault_actions import FAULTS, ChaosFault, Scene
from operations.own_stack import own_settings
from operations.prepare import prepare_stores
from operations.producing import Producer
from operations.tables import print_table, say
from operations.verify.account import Account
from runtime.config.sink_modules import SINK_MODULES
from runtime.jars import ensure_jars
from runtime.java import find_java
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.session.session import build_session
from spark_jobs.state.fault_points import VARIABLE

WAITING_RECORDS = 1200
COMING_RECORDS = 500
COMING_RATE = 100
CATCH_UP_SECONDS = 120
# A fault point takes effect the first, second or third time that a batch passes it.
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
    """Run rounds of crash tests; returns 0 only if every one ended exact."""
    say(f"seed {seed} (SEED={seed} repeats the same crashes)")
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
        chaos_stack = ChaosStack(own, spark, own.millrace_home / "logs" / "chaos-jobs.log")
        try:
            played = play(chaos_stack, choose_faults(rounds, seed, pipelines_of(own)), seed)
        finally:
            chaos_stack.end_jobs()
            spark.stop()
    finally:
        stack.down(own, say)
    return report(played, seed, own)


def choose_faults(rounds: int, seed: int, pipelines: Sequence[Pipeline]) -> list[ChaosFault]:
    """Every kind of fault that affects a pipeline once, in random order, before any is repeated.

    With fewer rounds than kinds, the named fault points take precedence.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    faults = [fault for fault in FAULTS if any(map(fault.affects, pipelines))]
    points = [fault for fault in faults if VARIABLE in fault.environment]
    others = [fault for fault in faults if VARIABLE not in fault.environment]
    chosen: list[ChaosFault] = []
    while left := rounds - len(chosen):
        kinds = list(faults)
        if len(points) <= left < len(faults):
            kinds = points + chance.sample(others, left - len(points))
        chosen += chance.sample(kinds, min(left, len(kinds)))
    return chosen


def play(chaos_stack: ChaosStack, chosen: Sequence[ChaosFault], seed: int) -> list[Round]:
    """Run a round with each fault; stop after the first that is not exact."""
    played: list[Round] = []
    pipelines = pipelines_of(chaos_stack.settings)
    for number, fault in enumerate(chosen, 1):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - not for secrets
        pipeline = chance.choice([p for p in pipelines if fault.affects(p)])
        started = time.monotonic()
        try:
            faults = play_round(chaos_stack, pipeline, fault, chance)
        except MillraceError as error:
            faults = [str(error)]
        messages = chaos_stack.messages_on(pipeline)
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


def play_round(
    chaos_stack: ChaosStack, pipeline: Pipeline, fault: ChaosFault, chance: random.Random
) -> list[str]:
    """Run one round; returns what was wrong, as text.

    Raises:
        MillraceError: a process did not behave as required.
    """
    before = chaos_stack.messages_on(pipeline)
    sent = _sent(chaos_stack.start_producer(pipeline, WAITING_RECORDS, 0, chance.randrange(2**31)))
    environment = dict(fault.environment)
    if VARIABLE in environment:
        environment[VARIABLE] += f":{chance.randint(1, LATEST_PASS)}"
    batches = chaos_stack.confirmed_batches(pipeline)
    job = chaos_stack.start_job(pipeline, **environment)
    coming_seed = chance.randrange(2**31)
    producer = chaos_stack.start_producer(pipeline, COMING_RECORDS, COMING_RATE, coming_seed)
    fault.action(Scene(chaos_stack, pipeline, job, producer, chance, batches))
    if fault.kills_producer:
        # It sends all its records again; those sent before the kill count as duplicates.
        producer = chaos_stack.start_producer(pipeline, COMING_RECORDS, 0, coming_seed)
    if fault.ends_job:
        code = chaos_stack.wait_for_end(job)
        if code == 0:
            return ["the job ended normally: the fault did not occur"]
        if differing := chaos_stack.account(pipeline).faults:
            return [f"after the crash, before a restart: {line}" for line in differing]
        sent += _sent(producer)
        chaos_stack.process_all(pipeline)
    else:
        sent += _sent(producer)
        _end_when_caught_up(chaos_stack, pipeline, job)
    arrived = chaos_stack.messages_on(pipeline) - before
    return _differences(
        chaos_stack.account(pipeline), sent, arrived, exact=not fault.kills_producer
    )


def _sent(producer: Producer) -> int:
    """Wait for a producer and return its number of delivered records."""
    code = producer.process.wait()
    last = producer.log_path.read_text(errors="replace").splitlines()[-1:]
    if code or not last:
        raise ChaosError(f"The {producer.name} producer failed (exit code {code}): {last}")
    numbers = dict(word.split("=", 1) for word in last[0].split() if "=" in word)
    return int(numbers["delivered"])


def _end_when_caught_up(chaos_stack: ChaosStack, pipeline: Pipeline, job: Process) -> None:
    """Check that the job continues by itself, and end it cleanly."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while chaos_stack.waiting(pipeline):
        if chaos_stack.has_ended(job):
            raise ChaosError(
                "The job ended, though it must continue by itself after this fault; its log is"
                f" {chaos_stack.log_path}."
            )
        if time.monotonic() > deadline:
            raise ChaosError(
                f"The job did not catch up within {CATCH_UP_SECONDS} s after the fault; its log is"
                f" {chaos_stack.log_path}."
            )
        time.sleep(0.5)
    if code := chaos_stack.end_job(job):
        raise ChaosError(f"The job ended with exit code {code}; its log is {chaos_stack.log_path}.")


def _differences(account: Account, sent: int, arrived: int, *, exact: bool) -> list[str]:
    differing = list(account.faults)
    if account.waiting:
        differing.append(f"{account.waiting} messages were not processed")
    if arrived < sent or (exact and arrived > sent):
        differing.append(f"producers delivered {sent} records, but {arrived} are on the topic")
    return differing


def report(played: Sequence[Round], seed: int, settings: Settings) -> int:
    """Print the result of each round; returns the exit code."""
    print_table(
        f"Crash tests, seed {seed}",
        ("round", "pipeline", "fault", "messages in all", "seconds", ""),
        [
            (r.number, r.pipeline, r.fault, r.messages, r.seconds, r.verdict) for r in played
        ],
    )  # fmt: skip
    if any(each.faults for each in played):
        say(
            f"NOT everything was exact. State and logs: {settings.millrace_home}; to repeat it:"
            f" `make chaos ROUNDS={len(played)} SEED={seed}`"
        )
        return 1
    say(f"{len(played)} rounds: nothing lost, nothing doubled, every aggregate exact")
    return 0
