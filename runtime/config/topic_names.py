"""Names of topics: Kafka's rule for them, and the name of each topic's dead-letter topic."""

from __future__ import annotations

import re
from typing import Final

DEAD_LETTER_SUFFIX: Final = "-dead-letter"
# Kafka's own rule (org.apache.kafka.common.internals.Topic), less the length of the suffix.
TOPIC_NAME: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,237}")


def dead_letter_topic(topic: str) -> str:
    """Name of the topic that keeps the rejected messages of `topic`."""
    return topic + DEAD_LETTER_SUFFIX
