"""Records to look at: rows of one partition of a Cassandra table, and dead letters, page by page.

Nothing here scans a table. What may hold personal data is masked as the pipeline's contract says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from pymongo.errors import PyMongoError

from cql.rows import RowPage as RowPage
from cql.rows import first_partitions
from cql.shards import page_of_shards, stored_shards
from errors import MillraceError, RequestError
from operations.masking import MASK, masked_columns, writable_value
from operations.messages_at import Place, messages_at
from operations.overview.stores import CASSANDRA, OpenStores
from runtime import remedies
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import pipelines_of
from spark_jobs.sinks.dead_letters import COLLECTION as LETTERS
from spark_jobs.sinks.driver_errors import explained_mongodb
from spark_jobs.targets import SHARD, Table

PAGE: Final = 50
MOST_ROWS: Final = 500
MOST_PARTITIONS: Final = 200
# How long MongoDB may look for the dead letters of a page.
SEARCH_MS: Final = 10_000
# The character after `/`.
AFTER_SLASH: Final = "0"
Row = dict[str, Any]


@dataclass(frozen=True)
class KeyColumn:
    """A column of a partition key; `choices` are all its values where the contract lists them."""

    name: str
    type: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordTable:
    """A table of Cassandra whose rows can be looked at.

    Attributes:
        place: Its keyspace and name.
        pipeline: The pipeline that fills it.
        key: The columns of its partition key.
        columns: All its columns.
        masked: Those whose values are not shown.
        shards: Into how many partitions the rows of one key are divided; `key` lacks that column.
        is_listed: Whether `partitions` lists keys: a partition holds several records, and its key
            is not masked. Otherwise the key must be asked for.
    """

    place: str
    pipeline: str
    key: tuple[KeyColumn, ...]
    columns: tuple[str, ...]
    masked: frozenset[str]
    is_listed: bool
    shards: int = 1


@dataclass(frozen=True)
class LetterView:
    """A dead letter.

    Attributes:
        source: Where its message is: `topic/partition/offset`.
        timestamp: Kafka's time of the message; its number as text if outside 1970-9999.
        value: The message's value, masked; None if `absent` says why it cannot be shown.
    """

    source: str
    pipeline: str
    timestamp: datetime | str
    reasons: tuple[str, ...]
    value: str | None = None
    absent: str | None = None


@dataclass(frozen=True)
class LetterPage:
    """Dead letters by their source; `following` names the next page, None after the last one."""

    letters: tuple[LetterView, ...]
    following: str | None = None


def record_tables(settings: Settings) -> dict[str, RecordTable]:
    """The tables of all enabled pipelines, by place; asks no store."""
    tables = ((p, table) for p in pipelines_of(settings) for table in p.tables)
    return {table.place: _view(pipeline, table) for pipeline, table in tables}


def _view(pipeline: Pipeline, table: Table) -> RecordTable:
    shape = table.declared
    names = [*shape.partition_key]
    masked = frozenset(masked_columns(pipeline, shape.columns) & {*shape.columns})
    asked = [name for name in names if name != SHARD or table.shards == 1]
    key = tuple(KeyColumn(n, shape.columns[n], _choices(pipeline, table, n)) for n in asked)
    holds_one = {*pipeline.id_columns} <= {*names}
    is_listed = not holds_one and masked.isdisjoint(names)
    columns = tuple(shape.columns)
    return RecordTable(table.place, pipeline.name, key, columns, masked, is_listed, table.shards)


def _choices(pipeline: Pipeline, table: Table, column: str) -> tuple[str, ...]:
    fields = (f for f in pipeline.contract.fields if f.column == column)
    values = [str(value) for f in fields for value in f.values]
    stand_in = table.stand_ins.get(column)
    return tuple(dict.fromkeys([*values, *([stand_in] if values and stand_in else [])]))


def partitions(stores: OpenStores, table: RecordTable) -> tuple[list[Row], bool]:
    """Keys of partitions, sorted, and whether there are more than `MOST_PARTITIONS`.

    Reads no row and only so many keys, whatever the table holds; none if `is_listed` is false.
    """
    if not table.is_listed:
        return [], False
    keyspace, _, name = table.place.partition(".")
    names = [column.name for column in table.key]
    session = stores.session
    most = (MOST_PARTITIONS + 1) * stored_shards(session, keyspace, name, table.shards)
    read = partial(first_partitions, session, keyspace, name, most)
    stored = stores.asked(CASSANDRA, read)
    # The shards of a key are one line.
    keys = {tuple(str(key[n]) for n in names): {n: key[n] for n in names} for key in stored}
    found = [*keys.values()]
    kept = found[:MOST_PARTITIONS]
    return sorted(kept, key=lambda key: [str(key[n]) for n in names]), len(found) > len(kept)


def record_page(
    stores: OpenStores,
    table: RecordTable,
    key: Mapping[str, object],
    size: int = PAGE,
    page: str | None = None,
) -> RowPage:
    """Rows of the partition with this key, in the table's order; of shards, one after the other.

    `key` has a value for each column of the partition key, as text or not; `page` is `following`
    of the page before.

    Raises:
        RequestError: a column of the key is missing, or another one is given.
        SinkError: Cassandra did not answer, or a value does not fit.
    """
    wanted = [column.name for column in table.key]
    # A single shard may be asked for, too.
    given = {*key} - ({SHARD} if table.shards > 1 else set())
    if given != {*wanted}:
        raise RequestError(
            f"The rows of {table.place} are found by {', '.join(wanted)}: give a value for each,"
            " and nothing else."
        )
    keyspace, _, name = table.place.partition(".")
    rows = min(max(size, 1), MOST_ROWS)

    def asked(size: int, page: str | None) -> RowPage:
        place = stores.session, keyspace, name
        read = partial(page_of_shards, *place, key, size, table.shards, page)
        return stores.asked(CASSANDRA, read)

    found = asked(rows, page)
    following = found.following
    # Cassandra does not know that a partition ends with a page.
    if following and not asked(1, following).rows:
        following = None
    return RowPage([masked_row(row, table.masked) for row in found.rows], following)


def masked_row(row: Mapping[str, Any], masked: Iterable[str]) -> Row:
    """A row with every value masked that must not be seen; an absent value is no secret."""
    hidden = {*masked}
    return {n: MASK if n in hidden and value is not None else value for n, value in row.items()}


def dead_letter_page(
    stores: OpenStores,
    pipeline: str | None = None,
    reason: str | None = None,
    size: int = PAGE,
    page: str | None = None,
) -> LetterPage:
    """Dead letters of a pipeline, or of all that are enabled, with their messages masked.

    `page` is `following` of the page before.

    Raises:
        RequestError: there is no such pipeline.
        SinkError: MongoDB did not answer.
    """
    settings, number = stores.settings, min(max(size, 1), MOST_ROWS)
    by_topic = {each.topic(settings): each for each in pipelines_of(settings)}
    chosen = [topic for topic, each in by_topic.items() if pipeline in (None, each.name)]
    if not chosen:
        names = [each.name for each in by_topic.values()]
        raise RequestError(
            f"There is no pipeline `{pipeline}`.{remedies.nearest(str(pipeline), names)}"
            f" There are: {', '.join(names)}."
        )
    query: dict[str, Any] = {"source_topic": {"$in": chosen}}
    if len(chosen) == 1:
        query["_id"] = {"$gte": f"{chosen[0]}/", "$lt": f"{chosen[0]}{AFTER_SLASH}"}
    if page:
        query["_id"] = {**query.get("_id", {}), "$gt": page}
        query["_id"].pop("$gte", None)
    if reason:
        query["reasons"] = reason
    try:
        cursor = stores.database[LETTERS].find(query).sort("_id", 1).limit(number + 1)
        documents = [*cursor.max_time_ms(SEARCH_MS)]
    except PyMongoError as error:
        raise explained_mongodb(error, settings) from error
    following = documents[number - 1]["_id"] if len(documents) > number else None
    letters = _letters(stores, by_topic, documents[:number])
    return LetterPage(tuple(letters), following)


def _letters(
    stores: OpenStores, by_topic: Mapping[str, Pipeline], documents: Sequence[Mapping[str, Any]]
) -> Iterator[LetterView]:
    """Documents of `dead_letters` with the values of their messages, masked."""
    places: dict[str, set[Place]] = {}
    for document in documents:
        if place := place_of(str(document["_id"])):
            places.setdefault(document["source_topic"], set()).add(place)
    messages, faults = dict[str, Any](), dict[str, str]()
    for topic, wanted in places.items():
        try:
            found = stores.asked("kafka", partial(messages_at, stores.settings, topic, wanted))
            messages |= {f"{topic}/{p}/{offset}": each for (p, offset), each in found.items()}
        except MillraceError as error:
            faults[topic] = str(error)
    for document in documents:
        source, topic = str(document["_id"]), document["source_topic"]
        message, pipeline = messages.get(source), by_topic[topic]
        gone = f"The broker no longer has the message on `{topic}`; its dead-letter topic keeps it."
        absent = None if message else faults.get(topic, gone)
        stamp = document.get("source_timestamp")
        yield LetterView(
            source,
            pipeline.name,
            stamp if isinstance(stamp, datetime) else str(stamp),
            tuple(map(str, document.get("reasons", ()))),
            writable_value(message.value(), pipeline.contract) if message else None,
            absent,
        )


def place_of(source: str) -> Place | None:
    """Partition and offset in `topic/partition/offset`; None if it has another form."""
    *_, partition, offset = ["", "", *source.split("/")]
    if partition.isdecimal() and offset.isdecimal():
        return int(partition), int(offset)
    return None
