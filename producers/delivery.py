"""Delivery: sends messages to Kafka and accounts for every one of them.

Guarantees: idempotent and acknowledged by all in-sync replicas (a retry neither doubles nor
reorders), messages with the same key keep the order of sending, and `sent = delivered + failed`
once `Delivery.close` has returned. A full local queue makes the sender wait. During a broker outage
it waits; `KAFKA_CONNECT_TIMEOUT_SECONDS` without any progress end in a `DeliveryError`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from errors import DeliveryError
from producers.messages import Message, Progress, SendCounts
from producers.pacing import SLICE_SECONDS, Pacer, ProducerStop
from runtime.kafka_refusals import kafka_advice
from settings import Settings

LOGGER: Final = logging.getLogger(__name__)

# Messages between two checks of the callbacks, the clock and the stop request.
CHUNK: Final = 1000
# Measured with tickets of 306 bytes. The queue holds a second or two of work at full speed; more
# would only delay noticing that the broker is gone.
TUNING: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 50,
    "batch.size": 262_144,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
    # The default partitioner of Java clients, so that a key has the same partition from any client.
    "partitioner": "murmur2_random",
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1000,
    "socket.keepalive.enable": True,
    "client.id": "millrace-producer",
}
# A message may wait for long while others are confirmed; `Delivery` itself checks for progress.
LEAST_MESSAGE_TIMEOUT_SECONDS: Final = 300.0
# librdkafka's public names of its own errors begin with an underscore.
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
AUTHENTICATION: Final = KafkaError._AUTHENTICATION  # noqa: SLF001
# Errors that waiting does not fix.
HOPELESS: Final = frozenset(
    (
        AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )
)


class _ClientLog:
    """Receives the client library's log lines, which would otherwise go to stderr."""

    def log(self, _level: int, message: str, *args: Any) -> None:
        LOGGER.debug(message, *args)


class Delivery:
    """A connection to one topic; not thread-safe."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        *,
        stop: ProducerStop | None = None,
        options: Mapping[str, Any] | None = None,
        confirmed: Callable[[int], None] | None = None,
    ) -> None:
        """Prepare; nothing is sent and nothing waits before `connect` or the first message.

        Args:
            settings: Addresses, credentials and time-out of the broker.
            topic: The topic, which must exist.
            stop: A stop request that ends sending and waiting.
            options: Client library options that override `TUNING`.
            confirmed: Called with the number of each message that the broker has, counted from 1
                in the order of sending; confirmations may come in a different order.
        """
        self.counts = SendCounts()
        self._topic = topic
        self._servers = settings.kafka_bootstrap_servers
        self._timeout = settings.kafka_connect_timeout_seconds
        self._stop = ProducerStop() if stop is None else stop
        self._confirmed = confirmed
        self._trouble: KafkaError | None = None
        self._first_failure: KafkaError | None = None
        self._progress_at = time.monotonic()
        self._settled = 0
        message_timeout = max(LEAST_MESSAGE_TIMEOUT_SECONDS, 2 * self._timeout)
        self._producer = self._new_producer(
            {
                **TUNING,
                "message.timeout.ms": int(message_timeout * 1000),
                **(options or {}),
                **settings.kafka_client_options(),
                "error_cb": self._on_error,
                "on_delivery": self._on_delivery,
            }
        )

    def connect(self) -> None:
        """Wait for the broker and check that the topic exists.

        Raises:
            DeliveryError: No broker answered in time, it refused this client, or has no such topic.
        """
        end = time.monotonic() + self._timeout
        while not self._stop:
            self._producer.poll(0)
            self._raise_if_hopeless()
            try:
                left = max(end - time.monotonic(), SLICE_SECONDS)
                # All topics, because asking for a single one makes some brokers create it.
                topics = self._producer.list_topics(timeout=min(left, 1.0)).topics
            except KafkaException as error:
                # The client library's own report, if there is one by now, is more specific.
                self._producer.poll(0)
                self._trouble = self._trouble or error.args[0]
                if time.monotonic() >= end:
                    raise self._unreachable() from error
                self._stop.sleep(SLICE_SECONDS)
                continue
            if self._topic not in topics:
                raise DeliveryError(
                    f"The broker at `{self._servers}` has no topic `{self._topic}` (or does not"
                    " show it to this user), and producers create none. Create the topics with"
                    " `make up`, or choose another topic with `--topic`."
                )
            self._trouble = None
            self._progress_at = time.monotonic()
            return

    def send_all(
        self,
        messages: Iterator[Message],
        *,
        rate: float = 0,
        progress: Progress | None = None,
        chunk: int = CHUNK,
    ) -> None:
        """Send until `messages` ends or a stop is requested; `rate` per second, 0 = unlimited.

        Callbacks, clock and stop request are looked at after each `chunk` of messages.

        Raises:
            DeliveryError: A message was refused, or the broker was down too long.
        """
        pacer = Pacer(rate)
        while not self._stop:
            due = pacer.due(chunk)
            if not due:
                self._poll(pacer.wait_seconds())
                continue
            before = self.counts.sent
            for key, value in islice(messages, due):
                self.send(key, value)
            sent = self.counts.sent - before
            pacer.sent(sent)
            self._poll(0)
            if progress is not None:
                progress.update(self.counts)
            if sent < due:
                return

    def send(self, key: bytes | None, value: bytes) -> None:
        """Queue one message; waits while the queue is full.

        Raises:
            DeliveryError: The message was refused, or the broker was down too long.
        """
        self.counts.sent += 1
        on_delivery = partial(self._on_numbered, self.counts.sent)
        options = {"on_delivery": on_delivery} if self._confirmed else {}
        while True:
            try:
                self._producer.produce(self._topic, value, key, **options)
                return
            except BufferError:
                try:
                    self._poll(SLICE_SECONDS)
                except DeliveryError:
                    self.counts.failed += 1
                    raise
                if self._stop.times > 1:
                    self.counts.failed += 1
                    return
            except KafkaException as error:
                self.counts.failed += 1
                self._first_failure = self._first_failure or error.args[0]
                raise self._not_delivered() from error

    def close(self, *, progress: Progress | None = None) -> SendCounts:
        """Flush until done or without progress for the time-out; then every message is settled.

        Raises:
            DeliveryError: Some messages were not confirmed.
        """
        if self.counts.sent == self._settled + len(self._producer):
            self._progress_at = time.monotonic()
        try:
            while len(self._producer) and self._stop.times < 2:
                self._poll(SLICE_SECONDS)
                if progress is not None:
                    progress.update(self.counts)
        finally:
            self._abandon_rest()
        if self.counts.failed:
            raise self._not_delivered()
        return self.counts

    def abandon(self) -> SendCounts:
        """Settle the rest without waiting, after an error: unconfirmed messages count as failed."""
        self._abandon_rest()
        return self.counts

    def _abandon_rest(self) -> None:
        if len(self._producer):
            self._producer.purge()
            self._producer.flush(5)
        # Messages that were neither confirmed nor returned in time count as failed.
        self.counts.failed = self.counts.sent - self.counts.delivered

    def _poll(self, seconds: float) -> None:
        """Serve callbacks; a failed message or a lack of progress ends the delivery."""
        self._producer.poll(seconds)
        now = time.monotonic()
        settled = self.counts.delivered + self.counts.failed
        if settled != self._settled or not len(self._producer):
            self._settled = settled
            self._progress_at = now
            self._trouble = None
        if self._first_failure is not None:
            raise self._not_delivered()
        self._raise_if_hopeless()
        if now - self._progress_at > self._timeout:
            raise self._unreachable()

    def _on_delivery(self, error: KafkaError | None, _message: KafkaMessage) -> None:
        if error is None:
            self.counts.delivered += 1
            return
        self.counts.failed += 1
        if self._first_failure is None:
            self._first_failure = error

    def _on_numbered(self, number: int, error: KafkaError | None, message: KafkaMessage) -> None:
        self._on_delivery(error, message)
        if error is None and self._confirmed is not None:
            self._confirmed(number)

    def _on_error(self, error: KafkaError) -> None:
        LOGGER.debug("kafka client: %s", error.str())
        # "All brokers are down" says less than the reason reported just before it.
        if self._trouble is None or error.code() != ALL_BROKERS_DOWN:
            self._trouble = error

    def _raise_if_hopeless(self) -> None:
        if self._trouble is None:
            return
        advice = kafka_advice(self._trouble.str())
        if advice or self._trouble.code() in HOPELESS:
            raise DeliveryError(
                f"The broker at `{self._servers}` refused this client: {self._trouble.str()}."
                f" {advice or 'Correct the user’s rights.'}"
            )

    def _unreachable(self) -> DeliveryError:
        why = self._trouble.str() if self._trouble else "no answer"
        return DeliveryError(
            f"Kafka at `{self._servers}` accepted no message for `{self._topic}` within"
            f" {self._timeout:g} s: {why}. Start the stack with `make up`, set"
            " KAFKA_BOOTSTRAP_SERVERS, or wait longer with KAFKA_CONNECT_TIMEOUT_SECONDS."
        )

    def _not_delivered(self) -> DeliveryError:
        why = self._first_failure.str() if self._first_failure else "no confirmation came"
        return DeliveryError(
            f"`{self._topic}` at `{self._servers}` did not confirm every message: {why}."
            " Unconfirmed messages may or may not be on the topic. See `make status` and"
            " `make logs SERVICE=kafka`, then send again: an id that is sent twice counts once."
        )

    def _new_producer(self, options: dict[str, Any]) -> Producer:
        try:
            return Producer(options, logger=_ClientLog())
        except KafkaException as error:
            # The library's message names the option, never its value.
            raise DeliveryError(
                f"The Kafka client cannot start: {error.args[0].str()}."
                " Correct the KAFKA_… settings."
            ) from None
