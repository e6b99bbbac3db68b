"""The commands of `millrace`, each a thin call.

The imports are inside, so that commands without Spark and drivers start at once.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from errors import MillraceError
from runtime.config.pipeline_folders import BUILT_IN
from settings import Settings
from spark_jobs.state.acceptance import accepted

EXIT_FAILED = 1


def run(settings: Settings, options: argparse.Namespace) -> int:
    """From nothing to a verified table of results."""
    from operations.run import Amounts, run
    from spark_jobs.registry import pipeline_named, pipelines_of

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    if options.pipeline:
        name = pipeline_named(options.pipeline, settings).name
        settings = settings.model_copy(update={"pipelines": (name,)})
    file = Path(options.file).resolve() if options.file else None
    if file and not options.pipeline:
        raise MillraceError("FILE= (--file) needs the pipeline that reads it: PIPELINE=NAME.")
    if file and not file.is_file():
        raise MillraceError(f"There is no file `{file}`; nothing was started.")
    # A user's pipeline may have the name of another option, such as `seed`.
    own = {name: getattr(options, name) for name in BUILT_IN}
    given = {each.name: own.get(each.name) for each in pipelines_of(settings)}
    counts = {name: options.count if count is None else count for name, count in given.items()}
    known = {name: count for name, count in counts.items() if count is not None}
    return run(settings, Amounts(known, seed, str(file) if file else None), accepted(options))


def job(settings: Settings, options: argparse.Namespace) -> int:
    """One pipeline's job."""
    from spark_jobs.registry import pipeline_named
    from spark_jobs.run.command import run_with

    return run_with([pipeline_named(options.pipeline, settings)], options)


def send(settings: Settings, options: argparse.Namespace) -> int:
    """Records of a file to a pipeline's topic."""
    from operations.feeding import send

    return send(settings, options.name, options.file, options.rate, options.from_record or 1)


def generate(settings: Settings, options: argparse.Namespace) -> int:
    """Records made from a contract to a pipeline's topic."""
    from operations.feeding import generate

    names = ("count", "seed", "invalid_ratio", "duplicate_ratio", "rate", "from_record")
    return generate(settings, options.name, {name: getattr(options, name) for name in names})


def check(settings: Settings, options: argparse.Namespace) -> int:
    """All faults of users' pipelines, at once."""
    from operations.check.check import check

    return check(settings, options.pipeline)


def try_records(settings: Settings, options: argparse.Namespace) -> int:
    """Judge the records of a file, without any service."""
    from operations.trial import try_records

    return try_records(settings, options.pipeline, options.file, options.format)


def stream(settings: Settings, options: argparse.Namespace) -> int:
    """Producers and jobs until Ctrl-C."""
    from operations.run import stream

    return stream(settings, accepted(options))


def new(settings: Settings, options: argparse.Namespace) -> int:
    """A pipeline's folder from a sample of its records."""
    from operations.new.new import new

    ids = [name.strip() for name in (options.id or "").split(",") if name.strip()]
    return new(settings, options.name, options.origin, ids)


def up(settings: Settings, options: argparse.Namespace) -> int:
    """Start and prepare the services."""
    from operations.activity import shown
    from operations.prepare import start_and_prepare

    with shown() as activities:
        start_and_prepare(settings, activities, activities.say)
    return 0


def down(settings: Settings, options: argparse.Namespace) -> int:
    """Stop the services."""
    from operations.down import down

    return down(settings, yes=options.yes)


def secrets(settings: Settings, options: argparse.Namespace) -> int:
    """Create the files with keys and passwords for the containers."""
    from local_stack.secret_files import make_secret_files
    from operations.tables import say

    make_secret_files(settings, say)
    return 0


def reset(settings: Settings, options: argparse.Namespace) -> int:
    """Delete checkpoints and stored data."""
    from operations.reset import reset

    return reset(
        settings,
        options.pipeline,
        topics=options.topics,
        yes=options.yes,
        leave=options.leave,
    )


def status(settings: Settings, options: argparse.Namespace) -> int:
    """Services, topics, stores and jobs at this moment."""
    from operations.status import show_status

    return show_status(settings)


def top(settings: Settings, options: argparse.Namespace) -> int:
    """The live board."""
    from operations.top import top

    return top(settings, in_json=options.json)


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Check machine, services and what they hold."""
    from operations.doctor.doctor import doctor

    return doctor(settings)


def dashboard(settings: Settings, options: argparse.Namespace) -> int:
    """The web page."""
    from dashboard.server import serve

    return serve(settings)


def logs(settings: Settings, options: argparse.Namespace) -> int:
    """Follow a log."""
    from operations.logs import follow

    return follow(settings, options.service)


def show(settings: Settings, options: argparse.Namespace) -> int:
    """A topic, table or collection."""
    from operations.show import FILTERS, RowFilter, show

    given = {column: getattr(options, name) for name, column in FILTERS.items()}
    where = {column: value for column, value in given.items() if value} | dict(options.where)
    # Shells may export the terminal's width as COLUMNS, so a number is not a name.
    asked = "" if options.columns.isdecimal() else options.columns
    columns = [name.strip() for name in asked.split(",") if name.strip()]
    wanted = RowFilter(where, options.limit)
    safe = options.excel_safe
    return show(settings, options.what, wanted, options.format, columns, excel_safe=safe)


def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Prove that nothing is lost or doubled."""
    from operations.verify.verify import verify

    return verify(settings)


def trace(settings: Settings, options: argparse.Namespace) -> int:
    """One record's way."""
    from operations.trace.trace import trace

    return trace(settings, options.id, options.pipeline, options.search, options.format)


def report(settings: Settings, options: argparse.Namespace) -> int:
    """A page and a JSON file about all pipelines."""
    from operations.report.report import report

    return report(settings, options.output)


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
    from operations.repair.replay import replay

    return replay(settings, options.topic, options.start, options.end, options.sink)


def compact(settings: Settings, options: argparse.Namespace) -> int:
    """Merge small files of a day into large ones."""
    from operations.repair.compact import compact

    return compact(settings, options.set, options.older_than)


def chaos(settings: Settings, options: argparse.Namespace) -> int:
    """Crash tests on a stack of their own."""
    from operations.chaos.chaos import chaos

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    return chaos(settings, options.rounds, seed)


def submit(settings: Settings, options: argparse.Namespace) -> int:
    """A pipeline's job on a Spark cluster."""
    from operations.submit.submit import submit

    return submit(options)


def pyspark(settings: Settings, options: argparse.Namespace) -> int:
    """A PySpark shell with connectors and endpoints."""
    from operations import pyspark_shell

    return pyspark_shell.run_shell(settings, options.master, options.execute)


def bench(settings: Settings, options: argparse.Namespace) -> int:
    """Measure the platform and its parts on a stack of their own."""
    from operations.bench.bench import bench
    from operations.bench.sizes import LONG_RECORDS, MAIN_NAME, SECOND_NAME, Sizes

    names = {"main": MAIN_NAME, "second": SECOND_NAME, "rounds": "rounds"}
    given = {size: getattr(options, name) for size, name in names.items()}
    sizes = {name: number for name, number in given.items() if number is not None}
    if options.long:
        from operations.bench.long import bench_long

        return bench_long(settings, given["main"] or LONG_RECORDS)
    return bench(settings, Sizes(**sizes))


def cqlsh(settings: Settings, options: argparse.Namespace) -> int:
    """A CQL shell or statement."""
    from local_stack.shells import run_cqlsh
    from operations.activity import showing

    return run_cqlsh(settings, options.execute, showing)


def mongosh(settings: Settings, options: argparse.Namespace) -> int:
    """A Mongo shell or expression."""
    from local_stack.shells import run_mongosh
    from operations.activity import showing

    return run_mongosh(settings, options.eval, showing)
