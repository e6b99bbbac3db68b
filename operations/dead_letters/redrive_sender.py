"""The transactional producer of a source topic's redriven messages and their notes."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

from errors import DeliveryError
from operations.dead_letters.reader import DeadLetter, note_key
from producers.client import TUNING
from settings import Settings
from spark_jobs.sources.broker import kafka_admin, offset_of
from spark_jobs.sources.kafka import REDRIVES_HEADER
from spark_jobs.sources.topics import ensure_redriven_topic, redriven_topic, topic_state
from spark_jobs.state.fault_points import fault_point

SOURCE_HEADER: Final = "redriven_from"
# The broker aborts an abandoned transaction after this time, which frees readers.
TRANSACTION_SECONDS: Final = 30
# The client asks for an abort after some errors, and after a refusal once more because of the gap
# in its sequence numbers.
ATTEMPTS: Final = 3
# Waits are cut into pieces of this length, so that signal handlers can run.
WAIT_SECONDS: Final = 0.5
# A broker marks committed messages as readable within milliseconds.
READABLE_SECONDS: Final = 10
READABLE_ASKS_SECONDS: Final = 0.05
# Far above any topic's limit, so that the topic's limit applies.
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
# Errors about a message itself; librdkafka's names for its own codes begin with an underscore.
REFUSALS: Final = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD))
FENCED: Final = frozenset(
    (
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    )
)
# Swallows the client's own log lines, which would otherwise go to stderr.
SILENT: Final = logging.Logger("redrive", level=logging.CRITICAL + 1)


class _Refused(Exception):
    """The broker refused a message, so its transaction was aborted."""


class Sender:
    """The only active sender of a topic's redriven messages, within the `with` block."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._refused = False
        options = {
            **TUNING,
            # A transaction ends with a flush, so lingering gains nothing.
            "linger.ms": 5,
            # At least as dense as any producer's: a message that fitted once must fit again.
            "compression.type": "zstd",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "transactional.id": f"millrace-redrive-{topic}",
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
            "client.id": "millrace-redrive",
            **settings.kafka_client_options(),
        }
        self._producer = Producer(options, logger=SILENT)

    def __enter__(self) -> Self:
        """Take over from any other sender; the broker completes or aborts what it left open."""
        ensure_redriven_topic(self._settings, self._topic)
        try:
            self._patiently(self._producer.init_transactions)
        except KafkaException as error:
            raise self._explained(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until everything is readable; after an error, abort what is open."""
        if kind is None:
            wait_until_readable(self._settings, (self._topic, redriven_topic(self._topic)))
            return
        self._producer.purge()
        with contextlib.suppress(KafkaException):
            self._producer.abort_transaction(WAIT_SECONDS)

    def send(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Send dead letters with their notes, all or nothing; returns those the broker refuses.

        Raises:
            DeliveryError: the outcome is unknown; the next run finds out.
        """
        try:
            self._send_together(letters)
        except _Refused:
            if len(letters) == 1:
                return list(letters)
            # A refusal does not say which message of the transaction it is about.
            return [refused for letter in letters for refused in self.send([letter])]
        return []

    def _send_together(self, letters: Sequence[DeadLetter]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._transact(letters)
                return
            except KafkaException as error:
                fault = error.args[0]
                refused = self._refused or fault.code() in REFUSALS
                if not refused and (attempt == ATTEMPTS or not fault.txn_requires_abort()):
                    raise self._explained(error) from error
                self._undo()
            if refused:
                raise _Refused

    def _transact(self, letters: Sequence[DeadLetter]) -> None:
        self._refused = False
        self._producer.begin_transaction()
        for letter in letters:
            self._produce(letter)
        fault_point("redrive-before-commit")
        self._patiently(self._producer.commit_transaction)
        fault_point("redrive-after-commit")

    def _undo(self) -> None:
        try:
            self._patiently(self._producer.abort_transaction)
        except KafkaException as error:
            raise self._explained(error) from error

    def _produce(self, letter: DeadLetter) -> None:
        headers = {
            REDRIVES_HEADER: str(letter.redrives + 1).encode(),
            SOURCE_HEADER: letter.source.encode(),
        }
        self._producer.produce(
            self._topic, letter.value, letter.key, headers=headers, on_delivery=self._on_delivery
        )
        self._producer.produce(redriven_topic(self._topic), None, note_key(letter))

    def _on_delivery(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None and error.code() in REFUSALS:
            self._refused = True

    def _patiently(self, call: Callable[[float], object]) -> None:
        """Retry while the client says that it may help and time is left."""
        deadline = time.monotonic() + self._settings.kafka_connect_timeout_seconds
        while True:
            try:
                call(WAIT_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def _explained(self, error: KafkaException) -> DeliveryError:
        fault = error.args[0]
        place = f"`{self._topic}` at `{self._settings.kafka_bootstrap_servers}`"
        if fault.code() in FENCED:
            return DeliveryError(
                f"Another redrive of {place} has taken over, so this one sends nothing more. The"
                " messages counted here were sent; the other redrive continues with the rest."
            )
        return DeliveryError(
            f"Kafka did not finish the redrive of {place}: {fault.name()}. The messages counted"
            " here were sent; the open transaction was sent either completely or not at all. See"
            " `make status` and `make logs SERVICE=kafka`, then run it again: nothing is sent"
            " twice."
        )


def wait_until_readable(settings: Settings, topics: Sequence[str]) -> bool:
    """Wait until readers of committed messages see everything committed before this call.

    A broker confirms a commit before it marks the partitions. Returns False after a time limit, as
    another program's open transaction may hold readers up for longer.

    Raises:
        JobError, SinkUnavailable: as `topic_state`.
    """
    admin = kafka_admin(settings)
    ends = {
        TopicPartition(topic, partition): end
        for topic in topics
        for partition, (_, end) in topic_state(settings, topic).offsets.items()
    }
    deadline = time.monotonic() + READABLE_SECONDS
    while True:
        answers = admin.list_offsets(
            dict.fromkeys(ends, OffsetSpec.latest()),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=READABLE_SECONDS,
        )
        # A partition may briefly have no leader: ask again.
        with contextlib.suppress(KafkaException):
            if all(offset_of(answers[place]) >= end for place, end in ends.items()):
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(READABLE_ASKS_SECONDS)
