"""The command line of `millrace`: its commands and their options."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from operations import commands
from operations.bench.sizes import Sizes
from operations.tables import FORMATS
from runtime.config.pipeline_folders import BUILT_IN
from runtime.config.sink_modules import SINK_MODULES, keeps_ledger
from settings import Settings
from spark_jobs.run.job_options import add_job_options
from spark_jobs.state.acceptance import add_acceptance

Command = Callable[[Settings, argparse.Namespace], int]


# Options that have another name in `make`.
NAMES_IN_MAKE = {"execute": ("CQL", "CODE")}
GIVEN_BY_MAKE = "ARG_"
# Stores take 32 bits, and are asked for one row more.
MOST_ROWS = 2**31 - 2


class Parser(argparse.ArgumentParser):
    """A parser whose errors name an option as the user gave it: `COUNT=` when `make` did."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit."""

        def named(found: re.Match[str]) -> str:
            names = NAMES_IN_MAKE.get(found[1], (found[1].upper().replace("-", "_"),))
            given = [name for name in names if os.environ.get(GIVEN_BY_MAKE + name)]
            return f"{given[0]}= ({found[0]})" if given else found[0]

        super().error(re.sub(r"--([a-z-]+)", named, message, count=1))


def build_parser() -> argparse.ArgumentParser:
    """The command line of `millrace`."""
    parser = Parser(
        prog="millrace",
        description="Kafka to Cassandra and MongoDB through Spark, every record accounted for."
        " Settings come from the environment and `.env`; docs/settings.md lists them.",
    )
    subparsers = parser.add_subparsers(metavar="command", required=True)

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    sub = add("run", commands.run, "from nothing to verified results; services stay up")
    sub.add_argument("--pipeline", help="only this pipeline (default: all that are enabled)")
    sub.add_argument("--count", type=_amount, help="records of each pipeline (500 or 1000)")
    sub.add_argument("--file", help="send the records of this file instead; with --pipeline")
    for name in BUILT_IN:
        sub.add_argument(f"--{name}", type=_amount, help=f"records of {name}")
    sub.add_argument("--seed", type=int, help="for the generated input (default: random)")
    add_acceptance(sub)
    sub = add("job", commands.job, "run one pipeline's job")
    sub.add_argument("pipeline", help="its name")
    add_job_options(sub)
    sub = add("send", commands.send, "send the records of a file to a pipeline's topic")
    sub.add_argument("name", help="the pipeline")
    sub.add_argument("file", help="JSON Lines, JSON array, CSV, Parquet; `-`: standard input")
    sub.add_argument("--rate", type=_number(), default=0.0, help="records per second")
    _add_from_record(sub)
    _add_generate(add("generate", commands.generate, "send records made from a contract"))
    _add_new(add("new", commands.new, "write a pipeline's folder from a sample of its records"))
    sub = add("check", commands.check, "faults of your own pipelines, sizes of partitions; offline")
    sub.add_argument("pipeline", nargs="?", help="only this one (default: all that are found)")
    sub = add("try", commands.try_records, "judge the records of a file; needs no service")
    sub.description = (
        "Prints outcome, reasons and columns of each record as a job would judge it if it arrived"
        " now, then totals. Digests are made with a key that is thrown away, personal data is"
        " masked. Exit code 0 if all records were read, valid or not."
    )
    sub.add_argument("pipeline", help="its name")
    sub.add_argument("file", help="JSON Lines, JSON array, CSV or Parquet; `-`: standard input")
    sub.add_argument("--format", choices=("table", "json"), default="table")
    add("up", commands.up, "start and prepare the services")
    sub = add("down", commands.down, "stop the services; data stays")
    sub.add_argument("--yes", action="store_true", help="end jobs and producers first, do not ask")
    add("secrets", commands.secrets, "create the files with keys and passwords for containers")
    sub = add("reset", commands.reset, "delete checkpoints and stored data")
    sub.add_argument("--pipeline", help="only this pipeline's")
    sub.add_argument("--topics", action="store_true", help="delete the topics too")
    sub.add_argument("--yes", action="store_true", help="do not ask")
    sub.add_argument(
        "--leave",
        action="append",
        default=[],
        choices=sorted(name for name in SINK_MODULES if not keeps_ledger(name)),
        help="a sink that is not emptied, for example because its store is gone",
    )
    add_acceptance(add("stream", commands.stream, "producers at their rate and jobs, until Ctrl-C"))
    add("status", commands.status, "services, topics, lag, rows, dead letters, running jobs")
    sub = add("top", commands.top, "live board of services, lag, rates, batches; Ctrl-C ends it")
    sub.add_argument("--json", action="store_true", help="print what is seen now, once")
    add("doctor", commands.doctor, "check machine, versions, services, topics and tables")
    add("dashboard", commands.dashboard, "web page with all of it, on loopback, until Ctrl-C")
    sub = add("logs", commands.logs, "follow the log of a service, a producer or a job")
    sub.add_argument("service", nargs="?", help="kafka, cassandra, mongodb, jobs, ...")
    _add_show(add("show", commands.show, "a topic, dead letters, a table or a collection"))
    add("verify", commands.verify, "prove that nothing is lost or doubled")
    _add_trace(add("trace", commands.trace, "one record's way, from its message to every store"))
    sub = add("report", commands.report, "one page to keep or to mail, and the same as JSON")
    sub.add_argument("--output", metavar="FILE", help="the page (default: output/report.html)")
    _add_dead_letters(add("dead-letters", commands.dead_letters, "list, show or send back"))
    _add_rebuild(add("rebuild", commands.rebuild, "recompute what is derived from records"))
    _add_replay(add("replay", commands.replay, "apply a range of a topic to one sink again"))
    sub = add("compact", commands.compact, "merge small files of a day into large ones")
    sub.add_argument("--set", help="only this set")
    sub.add_argument("--older-than", metavar="DAY", help="only days before this YYYY-MM-DD")
    sub = add("chaos", commands.chaos, "crash tests under load, on a stack of their own")
    sub.add_argument("--rounds", type=_at_least_one, default=20, help="default: %(default)s")
    sub.add_argument("--seed", type=int, help="for crashes and input (default: random)")
    _add_submit(add("submit", commands.submit, "run a pipeline's job on a Spark cluster"))
    sub = add("pyspark", commands.pyspark, "open a PySpark shell with connectors and endpoints")
    sub.add_argument("--master", help="Spark master (default: SPARK_MASTER)")
    sub.add_argument("--execute", metavar="CODE", help="run this instead")
    _add_bench(add("bench", commands.bench, "measure, on a stack of its own"))
    sub = add("cqlsh", commands.cqlsh, "open a CQL shell on the running Cassandra")
    sub.add_argument("--execute", metavar="CQL", help="run one statement instead")
    sub = add("mongosh", commands.mongosh, "open a Mongo shell on the running MongoDB")
    sub.add_argument("--eval", metavar="EXPRESSION", help="run one expression instead")
    return parser


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the pipeline")
    parser.add_argument("--count", type=_amount, required=True, help="records; 0 = without end")
    parser.add_argument("--seed", type=int, help="the same seed makes the same (default: random)")
    shares = {"--invalid-ratio": "break the contract", "--duplicate-ratio": "repeat an earlier id"}
    for name, text in shares.items():
        parser.add_argument(name, type=_number(1.0), help=f"share of records that {text}, 0 to 1")
    parser.add_argument("--rate", type=_number(), default=0.0,
                        help="records per second (default: unlimited)")  # fmt: skip
    _add_from_record(parser)


def _add_from_record(parser: argparse.ArgumentParser) -> None:
    text = "leave out the records before number N, which were sent earlier"
    parser.add_argument("--from-record", type=_at_least_one, metavar="N", help=text)


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", help="its name")
    parser.add_argument("--dry-run", action="store_true", help="print the command, secrets masked")
    parser.add_argument(
        "--conf",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="extra Spark configuration; may be repeated",
    )
    add_job_options(parser)


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the pipeline, its folder, keyspace and topic")
    parser.add_argument(
        "--from",
        dest="origin",
        metavar="FILE|topic:TOPIC",
        required=True,
        help="JSON Lines, a JSON array, CSV, Parquet, or a topic of the broker",
    )
    parser.add_argument(
        "--id", metavar="FIELD,...", help="fields that identify a record (default: the likeliest)"
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", default="", help="without it, all names")
    parser.add_argument("--team", help="rows of this team")
    parser.add_argument("--hour", help="such as 2026-11-22T10:00:00Z")
    parser.add_argument("--client", help="rows of this client")
    parser.add_argument("--nationality", help="rows of this nationality")
    parser.add_argument(
        "--where",
        type=_condition,
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="rows with this value in a column; may be repeated",
    )
    parser.add_argument("--limit", type=_limit, default=20, help="default: %(default)s")
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--columns", default="", help="names with commas, or `all`")
    parser.add_argument(
        "--excel-safe",
        action="store_true",
        help="in CSV, begin texts that spreadsheets take for formulas with '",
    )


def _add_rebuild(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("aggregates",), help="the aggregates of MongoDB")
    parser.add_argument("--pipeline", help="only this pipeline's")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    place = "offsets `0:120,1:80`, one offset for all partitions, or a time"
    parser.add_argument("--topic", required=True, help="source topic of a pipeline")
    parser.add_argument(
        "--from", dest="start", default="earliest", help=f"{place} (default: %(default)s)"
    )
    parser.add_argument("--to", dest="end", default="latest", help="the same (%(default)s)")
    parser.add_argument("--sink", required=True, help="the sink to repair")


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="a record's id, or its message: topic/partition/offset")
    parser.add_argument("--pipeline", help="only this one (default: all that are enabled)")
    text = "newest messages of a topic that are searched (default: %(default)s)"
    parser.add_argument("--search", type=_amount, default=100_000, metavar="N", help=text)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _add_bench(parser: argparse.ArgumentParser) -> None:
    for name, number in Sizes().records.items():
        text = f"records of {name} (default: {number})"
        parser.add_argument(f"--{name}", type=_at_least_one, help=text)
    parser.add_argument("--rounds", type=_at_least_one, help="of all variants (default: 2)")
    parser.add_argument(
        "--long", action="store_true", help="millions of records, thousands of batches"
    )


def _add_dead_letters(parser: argparse.ArgumentParser) -> None:
    """Add the dead-letter actions; values stay strings, as argparse stops at the first error."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    choice = _dead_letter_choice()

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[choice])

    listing = add("list", "a line for each dead letter, and totals by reason")
    showing = add("show", "dead letters with their content, sensitive fields masked")
    for sub in (listing, showing):
        sub.add_argument("--format", default="table", help="table (default), vertical, csv or json")
        sub.add_argument("--limit", default="20", help="default: %(default)s; 0 = all")
    showing.add_argument("--unmask", action="store_true", help="show sensitive fields too")
    sub = add("redrive", "send waiting dead letters back to their source topic, each once")
    sub.add_argument("--dry-run", action="store_true", help="print what would be sent")
    sub.add_argument("--max", dest="most", metavar="N", help="send at most N")
    sub.add_argument("--rate", default="0", metavar="R", help="per second (default: unlimited)")


def _dead_letter_choice() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--topic", help="source topic (default: those of all pipelines)")
    parser.add_argument(
        "--reason", action="append", help="reason code; may be repeated to match any of several"
    )
    parser.add_argument("--since", metavar="TIME", help="at this time or later (ISO 8601)")
    parser.add_argument("--until", metavar="TIME", help="before this time")
    parser.add_argument("--partition", metavar="N", help="of the source topic")
    parser.add_argument("--from-offset", metavar="N", help="first offset in the source topic")
    parser.add_argument("--to-offset", metavar="N", help="last offset, inclusive")
    parser.add_argument("--state", help="waiting, redriven or parked")
    return parser


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not column or not equals:
        raise argparse.ArgumentTypeError(f"expected COLUMN=VALUE, not `{text}`")
    return column, value


def _at_least_one(text: str) -> int:
    number = _amount(text)
    if not number:
        raise argparse.ArgumentTypeError(f"expected 1 or more, not `{text}`")
    return number


def _limit(text: str) -> int:
    number = _at_least_one(text)
    if number > MOST_ROWS:
        raise argparse.ArgumentTypeError(f"expected at most {MOST_ROWS}, not `{text}`")
    return number


def _number(most: float = sys.float_info.max) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            limit = "0 or more" if most > 1 else "0 to 1"
            raise argparse.ArgumentTypeError(f"expected a number, {limit}, not `{text}`")
        return value

    return read


def _amount(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, not `{text}`")
    return number
