"""Finds one record's way through the platform: by its id, or by where its message is.

Tables are asked by key, files by the batch that wrote them, other topics by that batch's time; the
newest messages of the topic are searched for further arrivals. Everything has a bound, and what was
not searched is said. Spark is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from errors import MillraceError
from operations.masking import MASK
from operations.messages_at import Place
from operations.overview.stores import OpenStores
from operations.trace.finder import Finder
from operations.trace.ids import id_of_text
from operations.trace.limits import Limits
from operations.trace.model import RecordTrace, Trace
from operations.trace.search import Wanted
from spark_jobs.pipeline import Pipeline

__all__ = ["Limits", "find"]
COORDINATES: Final = re.compile(r"(?P<topic>.+)/(?P<partition>\d{1,10})/(?P<offset>\d{1,19})")


def find(
    stores: OpenStores,
    asked: str,
    pipelines: Sequence[Pipeline],
    limits: Limits | None = None,
) -> Trace:
    """The way of a record in each of the pipelines that may have it.

    Args:
        stores: Connections; what does not answer is named in the trace.
        asked: A record's id, or `topic/partition/offset` of a topic that one of them reads.
        pipelines: Where to look.
        limits: How much may be read.
    """
    bound = limits or Limits()
    by_topic = {each.topic(stores.settings): each for each in pipelines}
    found, troubles = list[RecordTrace](), list[str]()
    place = _place(asked, by_topic)
    chosen = [by_topic[place[0]]] if place else pipelines
    for pipeline in chosen:
        try:
            finder = Finder(stores, pipeline, bound)
            if place:
                found.append(finder.by_place(place[1]))
            elif wanted := wanted_id(pipeline, asked):
                found.append(finder.by_id(wanted))
        except MillraceError as error:
            troubles.append(f"{pipeline.name}: {error}")
    hides = not place and any(_is_hidden(pipeline) for pipeline in chosen)
    shown = MASK if hides else asked
    return Trace(shown, datetime.now(UTC), tuple(found), tuple(dict.fromkeys(troubles)))


def _place(asked: str, by_topic: dict[str, Pipeline]) -> tuple[str, Place] | None:
    found = COORDINATES.fullmatch(asked.strip())
    if not found or found["topic"] not in by_topic:
        return None
    return found["topic"], (int(found["partition"]), int(found["offset"]))


def wanted_id(pipeline: Pipeline, text: str) -> Wanted | None:
    """What to look for; None if an id of the pipeline has another number of parts."""
    columns = id_of_text(pipeline, text)
    if columns is None and len(pipeline.id_columns) > 1:
        return None
    return Wanted(pipeline, text, columns)


def _is_hidden(pipeline: Pipeline) -> bool:
    """Whether the contract says that an id must not be shown."""
    ids = {f.column: f.sensitivity for f in pipeline.contract.fields}
    return any(
        ids.get(name, "public") != "public" and name not in pipeline.clear
        for name in pipeline.id_columns
    )
