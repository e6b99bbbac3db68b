"""`millrace send` and `millrace generate`: records for a pipeline's topic, from a file or made."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from errors import MillraceError
from settings import Settings
from spark_jobs.registry import pipeline_named


def send(settings: Settings, name: str, file: str, rate: float, from_record: int = 1) -> int:
    """Send the records of a file, from a record on; returns the exit code.

    Raises:
        PipelineError: There is no such pipeline, or its declaration has faults.
    """
    from producers.sent import main

    topic = pipeline_named(name, settings).topic(settings)
    options = [f"--topic={topic}", f"--rate={rate}", f"--from-record={from_record}"]
    return main([*options, "--", name, file])


def generate(settings: Settings, name: str, given: Mapping[str, Any]) -> int:
    """Send records that the pipeline's producer makes; returns the exit code.

    Args:
        settings: They name the topic.
        name: The pipeline.
        given: Options of the producer by their name, such as `invalid_ratio`; None is left out.

    Raises:
        PipelineError: There is no such pipeline, or its declaration has faults.
        MillraceError: Its producer makes no faults on request.
    """
    pipeline = pipeline_named(name, settings)
    made_by = pipeline.input
    words = {f"--{key.replace('_', '-')}": each for key, each in given.items() if each is not None}
    refused = [word for word in words if word.endswith(("-ratio", "-record"))]
    if refused and not made_by.makes_faults:
        raise MillraceError(
            f"The producer of {name} takes no {' or '.join(refused)}: it sends a file, with faults"
            " that it chooses itself, and continues that by itself. Leave it out."
        )
    options = [f"{word}={each}" for word, each in words.items()]
    topic = f"--topic={pipeline.topic(settings)}"
    code: int = import_module(made_by.module).main([*made_by.arguments, topic, *options])
    return code
