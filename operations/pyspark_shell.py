"""`make pyspark`: opens a Python shell with a Spark session that reaches every store."""

from __future__ import annotations

import code
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from errors import MillraceError
from operations.pipelines import topic_offsets
from operations.shipping import code_archive
from operations.spark_session import repair_session
from settings import Settings, load_settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.files.reading import read_set
from spark_jobs.sinks.files.rows import as_written
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.sinks.postgres import read_rows
from spark_jobs.sources.kafka import read_messages

CATALOG: Final = "com.datastax.spark.connector.datasource.CassandraCatalog"
NAMES: Final = "`spark`, `sc`, `F`, `T`, `settings`"


def run_shell(settings: Settings, master: str | None, statement: str | None) -> int:
    """Open the shell, or run a statement; returns the exit code."""
    if master:
        settings = load_settings({"spark_master": master})
    with _names(settings) as names:
        if statement is not None:
            return _execute(statement, names)
        with suppress(ImportError):
            _complete(names)
        spark = names["spark"]
        banner = "\n".join(
            [
                f"Spark {spark.version} on {spark.sparkContext.master}: {NAMES}",
                *examples(pipelines_of(settings), settings),
                "Ctrl-D ends.",
            ]
        )
        code.interact(banner, local=names, exitmsg="")
    return 0


def examples(pipelines: Sequence[Pipeline], settings: Settings) -> list[str]:
    """A line for each kind of store, with the first name there that the shell can read."""
    kinds = (
        ('topic("{}")', "its messages", [p.topic(settings) for p in pipelines]),
        ('files("{}")', "a set of files", [s.name for p in pipelines for s in p.file_sets]),
        (
            'postgres("{}")',
            "a table of PostgreSQL",
            [t.name for p in pipelines for t in p.sql_tables],
        ),
        (
            'mongodb["{}"].find()',
            "a collection of MongoDB",
            [c for p in pipelines for c in p.collections],
        ),
        (
            'spark.table("cassandra.{}")',
            "a table of Cassandra",
            [t.place for p in pipelines for t in p.tables],
        ),
    )
    found = [(form.format(names[0]), text) for form, text, names in kinds if names]
    width = max((len(example) for example, _ in found), default=0)
    return [f"  {example:<{width}}  {text}" for example, text in found]


@contextmanager
def _names(settings: Settings) -> Iterator[dict[str, Any]]:
    """The names that the shell defines."""
    with repair_session(settings, "pyspark", _say) as spark, connect_mongodb(settings) as client:
        spark.conf.set("spark.sql.catalog.cassandra", CATALOG)
        if not settings.spark_master.startswith("local"):
            spark.sparkContext.addPyFile(str(code_archive(settings.millrace_home)))
        yield {
            "__name__": "__main__",
            "spark": spark,
            "sc": spark.sparkContext,
            "F": F,
            "T": T,
            "settings": settings,
            "mongodb": confirmed_database(client, settings),
            **_readers(settings, spark),
        }


def _readers(settings: Settings, spark: SparkSession) -> dict[str, Callable[[str], DataFrame]]:
    """Functions that read a topic, files or a table by name."""

    def topic(name: str) -> DataFrame:
        """The messages that are on a topic now."""
        return read_messages(spark, settings, name, topic_offsets(settings, name))

    def files(name: str) -> DataFrame:
        """A set of files, in the first of its formats."""
        sets = {s.name: (p, s) for p in pipelines_of(settings) for s in p.file_sets}
        pipeline, file_set = _known(sets, name)
        found = as_written(settings, pipeline)
        return read_set(spark, found, file_set, found.output_format[0])

    def postgres(name: str) -> DataFrame:
        """A table of PostgreSQL."""
        tables = {each.name: each for p in pipelines_of(settings) for each in p.sql_tables}
        return read_rows(spark, settings, _known(tables, name))

    return {"topic": topic, "files": files, "postgres": postgres}


def _known(things: dict[str, Any], name: str) -> Any:
    if name not in things:
        raise MillraceError(f"There is no `{name}`. Valid: {', '.join(sorted(things))}.")
    return things[name]


def _execute(statement: str, names: dict[str, Any]) -> int:
    """Run a statement as a shell would, printing the value of an expression."""
    try:
        try:
            compiled = compile(statement, "<CODE>", "single")
        except SyntaxError:
            compiled = compile(statement, "<CODE>", "exec")
        exec(compiled, names)  # noqa: S102 - it is the user's own
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _complete(names: dict[str, Any]) -> None:
    """Enable line editing, history and completion by Tab."""
    import readline
    import rlcompleter

    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
