"""`millrace check`: all faults of users' pipelines at once, without a service.

Contract, declaration and tables are read as text first; the SQL of a declaration is analysed last,
by a Spark session that reads nothing. Records that are stored already come in by the shape of the
declaration that the last job kept with its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from errors import MillraceError
from operations.check.contract_checks import contract_faults
from operations.check.cql_checks import cql_faults
from operations.check.declaration_checks import declaration_faults
from operations.check.expression_checks import expression_faults
from operations.check.fault import CONTRACT, CQL, DECLARATION, Fault
from operations.check.first_table_checks import first_table_faults
from operations.check.folder import Folder, read_folder
from operations.check.neighbours import neighbour_faults
from operations.check.partition_report import COLUMNS as PARTITION_COLUMNS
from operations.check.partition_report import TITLE as PARTITIONS_TITLE
from operations.check.partition_report import partition_report
from operations.check.privacy_checks import privacy_faults
from operations.check.sql_checks import sql_faults
from operations.check.table_checks import table_faults
from operations.spark_session import session_alone
from operations.tables import print_table, say
from runtime import remedies
from runtime.config.pipeline_folders import BUILT_IN
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in, load_pipeline
from spark_jobs.start_checks.declaration_check import changes_since_last_job
from spark_jobs.state.checkpoint import checkpoint_of

EXIT_FAILED = 1


def check(settings: Settings, name: str | None = None) -> int:
    """Print every fault of one pipeline, or of all; returns the exit code.

    Without faults a line for each pipeline says what it has, and what a change since its last job
    means for what is stored; then comes how large the partitions of Cassandra's tables grow.
    """
    if name in BUILT_IN:
        pipeline = next(each for each in built_in(settings) if each.name == name)
        say(described(pipeline))
        _print_sizes([pipeline])
        return 0
    paths = pipeline_paths(settings.pipelines_path)
    if name is not None and name not in [path.name for path in paths]:
        say(_unknown(name, paths, settings))
        return EXIT_FAILED
    if not paths:
        say(
            f"no pipeline in `{settings.pipelines_path}` (PIPELINES_PATH);"
            " `.venv/bin/millrace new NAME --from FILE` writes one from a sample"
        )
        _print_sizes(built_in(settings))
        return 0
    everything = [read_folder(path) for path in paths]
    chosen = [folder for folder in everything if name in (None, folder.name)]
    found = {folder.name: [*folder_faults(folder, everything, settings)] for folder in chosen}
    try:
        _analyse(chosen, found, settings)
    except MillraceError:
        _print_faults(found)
        raise
    code, pipelines = _report(chosen, found, settings)
    if code == 0:
        _print_sizes([*(built_in(settings) if name is None else ()), *pipelines])
    return code


def pipeline_paths(place: Path) -> list[Path]:
    """Folders that hold a part of a pipeline, or are empty, in order of their names."""
    if not place.is_dir():
        return []
    folders = (each for each in place.iterdir() if each.is_dir())
    return sorted(each for each in folders if each.name[:1] not in "._")


def _unknown(name: str, paths: Sequence[Path], settings: Settings) -> str:
    known = [path.name for path in paths]
    listed = f" There are: {', '.join(known)}." if known else ""
    return (
        f"There is no pipeline `{name}`: no folder of this name in `{settings.pipelines_path}`"
        f" (PIPELINES_PATH).{remedies.nearest(name, known)}{listed}"
        " `.venv/bin/millrace new NAME --from FILE` writes one."
    )


def folder_faults(
    folder: Folder, everything: Sequence[Folder], settings: Settings
) -> Iterator[Fault]:
    """Yield what can be found without Spark, file by file."""
    found = [
        *folder.faults,
        *contract_faults(folder),
        *declaration_faults(folder),
        *cql_faults(folder),
        *table_faults(folder),
        *first_table_faults(folder),
        *sql_faults(folder),
        *privacy_faults(folder),
        *neighbour_faults(folder, everything, built_in(), settings),
    ]
    yield from _in_order(found)


def _in_order(faults: Sequence[Fault]) -> list[Fault]:
    """Each fault once, file by file."""
    order = ["", CONTRACT, DECLARATION, CQL]
    return sorted(
        dict.fromkeys(faults),
        key=lambda fault: order.index(fault.file) if fault.file in order else len(order),
    )


def _fails(faults: Sequence[Fault]) -> bool:
    return any(not fault.is_note for fault in faults)


def _analyse(folders: Sequence[Folder], found: dict[str, list[Fault]], settings: Settings) -> None:
    """Add the faults of their SQL, with one Spark session for all.

    Raises:
        MillraceError: Java is missing, or Spark's driver did not start.
    """
    read = [(folder, folder.pipeline()) for folder in folders]
    pipelines = [(folder, pipeline) for folder, pipeline in read if pipeline]
    if not pipelines:
        return
    with session_alone(settings, "check", say) as spark:
        for folder, pipeline in pipelines:
            faults = found[folder.name]
            # What was found without Spark is not said twice.
            places = {(fault.file, fault.where) for fault in faults}
            more = expression_faults(spark, folder, pipeline, as_a_whole=not _fails(faults))
            faults += [fault for fault in more if (fault.file, fault.where) not in places]


def _report(
    folders: Sequence[Folder], found: dict[str, list[Fault]], settings: Settings
) -> tuple[int, list[Pipeline]]:
    """Say what was found; returns the exit code, and the pipelines without faults."""
    failed = _print_faults(found)
    loaded = [load_pipeline(each.path) for each in folders if not _fails(found[each.name])]
    for pipeline in loaded:
        say(described(pipeline))
        failed |= _report_changes(pipeline, settings)
    return EXIT_FAILED if failed else 0, loaded


def _print_sizes(pipelines: Sequence[Pipeline]) -> None:
    """Say how large partitions grow, what exceeds a limit, and what the numbers rest on."""
    rows, lines = partition_report(pipelines)
    if rows:
        print_table(PARTITIONS_TITLE, PARTITION_COLUMNS, rows)
    for line in lines:
        say(line)


def _print_faults(found: dict[str, list[Fault]]) -> bool:
    """Say each fault and how many there are; returns whether there are any."""
    for name, faults in found.items():
        for fault in _in_order(faults):
            say(fault.line(name))
    number = sum(not fault.is_note for faults in found.values() for fault in faults)
    if number:
        say(f"{number} fault{'s' if number > 1 else ''}. docs/your-own-pipeline.md has the rules.")
    return number > 0


def _report_changes(pipeline: Pipeline, settings: Settings) -> bool:
    """Say what changed since the last job; returns whether a job refuses it."""
    if not checkpoint_of(settings, pipeline.name).can_be_reached:
        say(f"{pipeline.name}: not compared with its last job: only a job reads that checkpoint")
    found = changes_since_last_job(pipeline, settings)
    for change in found:
        say(f"{pipeline.name}: {change}.")
    if not any(change.kind == "breaking" for change in found):
        return False
    say(
        f"{pipeline.name}: a job refuses a breaking change. Undo it, or start from scratch with"
        f" `{remedies.reset(pipeline.name, settings)}`."
    )
    return True


def described(pipeline: Pipeline) -> str:
    """What a pipeline has, in one line."""
    parts = {
        "field": len(pipeline.contract.fields),
        "table": len(pipeline.tables),
        "SQL table": len(pipeline.sql_tables),
        "file set": len(pipeline.file_sets) + len(pipeline.snapshots),
        "topic": len(pipeline.topics),
        "aggregate": len(pipeline.aggregates),
    }
    listed = [f"{n} {what}{'s' if n > 1 else ''}" for what, n in parts.items() if n]
    return f"{pipeline.name}: no faults; {', '.join(listed)}"
