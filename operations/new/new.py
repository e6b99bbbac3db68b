"""`millrace new`: reads a sample, guesses, proposes, and writes the folder of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from operations.new.folder import write_folder
from operations.new.names import refuse_shared, refuse_taken
from operations.new.proposal import proposal
from operations.new.readme import readme
from operations.new.sample import TOPIC, read_sample
from operations.new.summary import notes_of, summary
from operations.tables import say
from runtime.output import in_one_line
from settings import Settings
from spark_jobs.registry import load_pipeline


def new(settings: Settings, name: str, origin: str, ids: Sequence[str] = ()) -> int:
    """Write the folder of a new pipeline and say what was found.

    Args:
        settings: Where pipelines are, and the broker of a topic.
        name: The pipeline's name.
        origin: A file, or `topic:NAME`.
        ids: Fields that identify a record; the likeliest if none is given.

    Raises:
        MillraceError: The name is taken, the sample cannot be read, or has no id; nothing is
            written then.
    """
    refuse_taken(settings, name)
    sample = read_sample(settings, origin)
    made = proposal(sample, name, ids, datetime.now(UTC), _topic(origin, name))
    notes = notes_of(made)
    folder = settings.pipelines_path / name
    files = made.files(readme(made.plan, sample.origin, notes))

    def check(written: Path) -> None:
        refuse_shared(settings, load_pipeline(written))

    write_folder(folder, files, check)
    for line in summary(folder, made, notes):
        say(in_one_line(line))
    return 0


def _topic(origin: str, name: str) -> str | None:
    """The topic that the pipeline reads, if it is not the one of its name."""
    if not origin.startswith(TOPIC):
        return None
    topic = origin.removeprefix(TOPIC)
    return None if topic == name else topic
