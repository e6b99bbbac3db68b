"""From which batch on a topic gets a pipeline's records, if it was added over stored ones.

Collection `feeds` of MongoDB: one document per such topic, made by the job that first feeds it and
never changed; `make reset` deletes it. A topic without one gets all records.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from spark_jobs.state.ledger import Document
from spark_jobs.state.store_errors import sink_error

COLLECTION = "feeds"


def note_added_topics(
    database: Database[Document], pipeline: str, topics: Iterable[str], first_batch: int
) -> None:
    """Note that these topics get the records of a batch and all later ones.

    Args:
        database: Has the ledger.
        pipeline: The name of the job's pipeline, or of the part that it is.
        topics: As the declaration names them.
        first_batch: The batch after the last confirmed one.

    Raises:
        SinkError: MongoDB did not answer.
    """
    try:
        for topic in topics:
            note = {"_id": f"{pipeline}/topic/{topic}", "pipeline": pipeline, "topic": topic}
            # A start before this one, which ended without a batch, noted it too.
            with suppress(DuplicateKeyError):
                database[COLLECTION].insert_one({**note, "first_batch": first_batch})
    except PyMongoError as error:
        raise sink_error("MongoDB", f"note in `{COLLECTION}` a new topic", error) from error


def first_batches(database: Database[Document], pipeline: str) -> dict[str, int]:
    """Topic, as the declaration names it -> its first batch, for topics that were added.

    Raises:
        SinkError: MongoDB did not answer.
    """
    try:
        notes = database[COLLECTION].find({"pipeline": pipeline, "topic": {"$exists": True}})
        return {note["topic"]: note["first_batch"] for note in notes}
    except PyMongoError as error:
        raise sink_error("MongoDB", f"return the topics in `{COLLECTION}`", error) from error
