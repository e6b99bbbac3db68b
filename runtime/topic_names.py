"""Names of topics: Kafka's rule for them, and the topic of dead letters that each one has."""

from __future__ import annotations

import re
from typing import Final

DEAD_LETTER_SUFFIX: Final = "-dead-letter"
# Kafka's own rule (org.apache.kafka.common.internals.Topic), less the length of the suffix.
TOPIC_NAME: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,237}")


def dead_letter_topic(topic: str) -> str:
    """Name of the topic that keeps what `topic` held and no sink could take."""
    return topic + DEAD_LETTER_SUFFIX
