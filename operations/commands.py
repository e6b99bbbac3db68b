"""The commands of `millrace`, each a thin call.

Imports are inside, so that a command that needs neither Spark nor a driver starts at once.
"""

from __future__ import annotations

import argparse
import random

from settings import Settings
from spark_jobs.state.acceptance import accepted

EXIT_FAILED = 1


def run(settings: Settings, options: argparse.Namespace) -> int:
    """From nothing to a verified table of results."""
    from operations import run as runs

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    amounts = runs.Amounts(options.tickets, options.profiles, options.customers, seed)
    return runs.run(settings, amounts, accepted(options))


def stream(settings: Settings, options: argparse.Namespace) -> int:
    """Producers and jobs until Ctrl-C."""
    from operations import run as runs

    return runs.stream(settings, accepted(options))


def up(settings: Settings, options: argparse.Namespace) -> int:
    """Start and prepare the services."""
    from local_stack import stack
    from operations.prepare import prepare_stores
    from operations.tables import say

    stack.up(settings, say)
    prepare_stores(settings, say)
    return 0


def down(settings: Settings, options: argparse.Namespace) -> int:
    """Stop the services."""
    from operations import down as downs

    return downs.down(settings, yes=options.yes)


def secrets(settings: Settings, options: argparse.Namespace) -> int:
    """Make the files of the containers' keys and passwords."""
    from local_stack.secret_files import make_secret_files
    from operations.tables import say

    make_secret_files(settings, say)
    return 0


def reset(settings: Settings, options: argparse.Namespace) -> int:
    """Delete checkpoints and stored data."""
    from operations import reset as resets

    return resets.reset(
        settings,
        options.pipeline,
        topics=options.topics,
        yes=options.yes,
        leave=options.leave,
    )


def status(settings: Settings, options: argparse.Namespace) -> int:
    """What can be seen at this moment."""
    from operations.status import show_status

    return show_status(settings)


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Whether machine, services and what they hold are as the platform needs them."""
    from operations.doctor import doctor as environment_checks

    return environment_checks.doctor(settings)


def logs(settings: Settings, options: argparse.Namespace) -> int:
    """Follow a log."""
    from operations.logs import follow

    return follow(settings, options.service)


def show(settings: Settings, options: argparse.Namespace) -> int:
    """A topic, table or collection."""
    from operations import show as shows

    given = {
        "assigned_team": options.team,
        "created_hour": options.hour,
        "client_id": options.client,
        "nationality": options.nationality,
    }
    where = {column: value for column, value in given.items() if value}
    # A number alone is the width of the terminal, which shells may export under that name.
    asked = "" if options.columns.isdecimal() else options.columns
    columns = [name.strip() for name in asked.split(",") if name.strip()]
    selection = shows.Selection(where, options.limit)
    return shows.show(settings, options.what, selection, options.format, columns)


def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Prove that nothing is lost or doubled."""
    from operations.verify import verify as proofs

    return proofs.verify(settings)


def dead_letters(settings: Settings, options: argparse.Namespace) -> int:
    """List, show or redrive dead letters."""
    from operations.dead_letters.dead_letters import run_dead_letters

    return run_dead_letters(settings, options)


def rebuild(settings: Settings, options: argparse.Namespace) -> int:
    """Recompute the aggregates from the stored records."""
    from operations.repair.rebuild import rebuild_aggregates

    return rebuild_aggregates(settings, options.pipeline)


def replay(settings: Settings, options: argparse.Namespace) -> int:
    """Apply a range of a topic to one sink again."""
    from operations.repair import replay as replays

    return replays.replay(settings, options.topic, options.start, options.end, options.sink)


def compact(settings: Settings, options: argparse.Namespace) -> int:
    """Merge small files of a day into large ones."""
    from operations.repair import compact as compaction

    return compaction.compact(settings, options.set, options.older_than)


def chaos(settings: Settings, options: argparse.Namespace) -> int:
    """Crash tests on a stack of their own."""
    from operations.chaos import chaos as crashes

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    return crashes.chaos(settings, options.rounds, seed)


def submit(settings: Settings, options: argparse.Namespace) -> int:
    """A pipeline's job on a Spark cluster."""
    from operations.submit import submit as submits

    return submits.submit(options)


def pyspark(settings: Settings, options: argparse.Namespace) -> int:
    """A PySpark shell with connectors and endpoints."""
    from operations import pyspark_shell

    return pyspark_shell.run_shell(settings, options.master, options.execute)


def bench(settings: Settings, options: argparse.Namespace) -> int:
    """Measure the platform and its parts on a stack of their own."""
    from operations.bench import bench as benchmark

    given = {"tickets": options.tickets, "profiles": options.profiles, "rounds": options.rounds}
    sizes = {name: number for name, number in given.items() if number is not None}
    if options.long:
        from operations.bench.long import bench_long

        return bench_long(settings, options.tickets or 10_000_000)
    return benchmark.bench(settings, benchmark.Sizes(**sizes))


def cqlsh(settings: Settings, options: argparse.Namespace) -> int:
    """A CQL shell or statement."""
    from local_stack.shells import run_cqlsh

    return run_cqlsh(settings, options.execute)


def mongosh(settings: Settings, options: argparse.Namespace) -> int:
    """A Mongo shell or expression."""
    from local_stack.shells import run_mongosh

    return run_mongosh(settings, options.eval)
