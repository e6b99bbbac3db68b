"""Checks that no two pipelines write to one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cql.statements import created_keyspace, split_statements
from operations.check.fault import CQL, DECLARATION, SQL, Fault
from operations.check.folder import Folder
from runtime.config.topic_names import DEAD_LETTER_SUFFIX, dead_letter_topic
from settings import Settings
from spark_jobs.pipeline import Pipeline

# Kind and name of what is written, and the file that names it.
Place = tuple[str, str, str]


def neighbour_faults(
    folder: Folder, others: Iterable[Folder], built_in: Iterable[Pipeline], settings: Settings
) -> Iterator[Fault]:
    """Yield what the pipeline would write to, though another pipeline does."""
    taken: dict[tuple[str, str], str] = {}
    for pipeline in built_in:
        for kind, name, _ in _of_pipeline(pipeline, settings):
            taken.setdefault((kind, name), pipeline.name)
    for other in others:
        if other.name != folder.name:
            for kind, name, _ in _of_folder(other, settings):
                taken.setdefault((kind, name), other.name)
    for kind, name, file in dict.fromkeys(_of_folder(folder, settings)):
        # Its name follows from the topic's.
        if name.endswith(DEAD_LETTER_SUFFIX) and (kind, _letterless(name)) in taken:
            continue
        if owner := taken.get((kind, name)):
            yield Fault(
                file,
                name,
                f"the {kind} `{name}` belongs to the pipeline `{owner}`; take another name",
            )


def _letterless(topic: str) -> str:
    return topic.removesuffix(DEAD_LETTER_SUFFIX)


def _of_folder(folder: Folder, settings: Settings) -> Iterator[Place]:
    for statement in split_statements(folder.cql_text or ""):
        if keyspace := created_keyspace(statement):
            yield "keyspace", keyspace, CQL
    for name in folder.sql:
        yield "SQL table", name, SQL
    if folder.declaration is not None:
        yield from _of_pipeline(folder.declaration, settings, folder.name)


def _of_pipeline(pipeline: Pipeline, settings: Settings, name: str = "") -> Iterator[Place]:
    own = name or pipeline.name
    source = settings.topic_of(own) or pipeline.reads or own
    topics = [source, dead_letter_topic(source), *pipeline.forward_topics(settings)]
    yield from (("topic", topic, DECLARATION) for topic in topics)
    if not name:
        yield from (("keyspace", table.keyspace, CQL) for table in pipeline.tables)
        yield from (("SQL table", table.name, SQL) for table in pipeline.sql_tables)
    yield from (("file set", each.name, DECLARATION) for each in pipeline.file_sets)
    yield from (("file set", each.name, DECLARATION) for each in pipeline.snapshots)
    yield from (("collection", each, DECLARATION) for each in pipeline.collections)
