"""Delivery: sends messages to Kafka and accounts for every one of them.

Guarantees: idempotent and acknowledged by all in-sync replicas (a retry neither doubles nor
reorders), messages with the same key keep the order of sending, and `sent = delivered + failed +
unknown` once `Delivery.close` has returned. A full local queue makes the sender wait. During an
outage of the broker it says so, takes no further messages and waits; `STORE_RETRY_SECONDS` without
any confirmation end in a `DeliveryError`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from errors import DeliveryError
from producers.client import ALL_BROKERS_DOWN, new_producer, refusal
from producers.messages import Message, Progress, SendCounts
from producers.pacing import SLICE_SECONDS, Pacer, ProducerStop
from producers.progress import warn
from producers.reports import BLOCK, Reports
from runtime.wait import Wait
from settings import Settings

LOGGER: Final = logging.getLogger(__name__)

# Messages between two checks of the callbacks, the clock and the stop request.
CHUNK: Final = 1000
# A broker that was up may pause for longer than this without being away.
LEAST_WAIT_SECONDS: Final = 1.0
# Without a confirmation for so long, no message is taken.
PAUSE_SECONDS: Final = 1.0
FLUSH_SECONDS: Final = 5.0
AT_START: Final = "KAFKA_CONNECT_TIMEOUT_SECONDS"
IN_OUTAGES: Final = "STORE_RETRY_SECONDS"


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
        block: int = BLOCK,
        place: Callable[[int], int] | None = None,
        say: Callable[[str], None] = warn,
    ) -> None:
        """Prepare; nothing is sent and nothing waits before `connect` or the first message.

        Args:
            settings: Addresses, credentials and time-outs of the broker.
            topic: The topic, which must exist.
            stop: A stop request that ends sending and waiting.
            options: Client library options that override the usual ones.
            confirmed: Called with the number of each message that the broker has, counted from 1
                in the order of sending; confirmations may come in a different order.
            block: To how many messages `next_number` is exact.
            place: The number of the source's record that is a message, by its number, for sources
                that have an option `--from-record`.
            say: Receives a line when a wait for the broker begins, lasts and ends.
        """
        self.counts = SendCounts()
        self._topic, self._place = topic, place
        self._servers = settings.kafka_bootstrap_servers
        self._connect_seconds = settings.kafka_connect_timeout_seconds
        self._wait_seconds = max(settings.store_retry_seconds, LEAST_WAIT_SECONDS)
        self._stop = ProducerStop() if stop is None else stop
        self._reports = Reports(self.counts, topic, 1 if confirmed else block, confirmed)
        self._trouble: KafkaError | None = None
        self._settled = 0
        self._is_ending = self._is_settled = False
        self._wait = Wait(
            f"Kafka at `{self._servers}`",
            self._wait_seconds,
            IN_OUTAGES,
            say,
            goes_on="sending goes on",
        )
        self._producer = new_producer(
            {
                **(options or {}),
                **settings.kafka_client_options(),
                "error_cb": self._on_error,
                "stats_cb": self._reports.on_statistics,
            },
            self._wait_seconds,
        )

    @property
    def next_number(self) -> int:
        """Number of the first message yet to be confirmed, one after the last if there is none."""
        return self._reports.next_number

    def connect(self) -> None:
        """Wait for the broker and check that the topic exists.

        Raises:
            DeliveryError: No broker answered in time, it refused this client, or has no such topic.
        """
        self._wait.limit_from_now(self._connect_seconds, AT_START)
        while not self._stop:
            self._producer.poll(0)
            self._raise_if_refused()
            try:
                # All topics, because asking for a single one makes some brokers create it.
                topics = self._producer.list_topics(timeout=min(self._connect_seconds, 1.0)).topics
            except KafkaException as error:
                # The client library's own report, if there is one by now, is more specific.
                self._producer.poll(0)
                self._trouble = self._trouble or error.args[0]
                self._raise_if_over()
                self._stop.sleep(SLICE_SECONDS)
                continue
            if self._topic not in topics:
                raise DeliveryError(
                    f"The broker at `{self._servers}` has no topic `{self._topic}` (or does not"
                    " show it to this user), and producers create none. Create the topics with"
                    " `make up`, or choose another topic with `--topic`."
                )
            self._trouble = None
            self._wait.answered()
            self._wait.limit(self._wait_seconds, IN_OUTAGES)
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

        Callbacks, clock and stop request are looked at after each `chunk` of messages, and while
        the source of the messages waits for something. During an outage no message is taken.

        Raises:
            DeliveryError: A message was refused, or the broker was down too long.
        """
        pacer = Pacer(rate)
        self._stop.while_waiting = partial(self._poll, 0)
        while not self._stop:
            # What is not taken from the source is not at stake.
            if self._wait.silence > PAUSE_SECONDS:
                self._poll(SLICE_SECONDS)
                continue
            if not (due := pacer.due(chunk)):
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
        on_delivery = self._reports.of_next()
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=on_delivery)
                return
            except BufferError:
                try:
                    self._poll(SLICE_SECONDS)
                except DeliveryError:
                    self._reports.refused(None)
                    raise
                if self._stop.times > 1:
                    self._reports.refused(None)
                    return
            except KafkaException as error:
                self._reports.refused(error.args[0], len(value))
                raise self._not_delivered() from error

    def close(self, *, progress: Progress | None = None) -> SendCounts:
        """Flush until done or without progress for too long; then every message is settled.

        Raises:
            DeliveryError: Some messages were not confirmed.
        """
        try:
            while len(self._producer) and self._stop.times < 2:
                if self._stop and not self._is_ending:
                    self._is_ending = True
                    self._wait.limit_from_now(self._connect_seconds, AT_START)
                self._poll(SLICE_SECONDS)
                if progress is not None and not self._wait.said:
                    progress.update(self.counts)
        finally:
            self.abandon()
        if not self.counts.complete:
            raise self._not_delivered()
        return self.counts

    def abandon(self) -> SendCounts:
        """Settle the rest without waiting, after an error or a second stop request."""
        if not self._is_settled and (len(self._producer) or not self.counts.complete):
            self._is_settled = True
            if self._reports.too_large:
                # The broker answers, and takes the others.
                self._producer.flush(FLUSH_SECONDS)
            self._producer.purge()
            self._producer.flush(FLUSH_SECONDS)
            self._reports.settle(partial(self._producer.poll, SLICE_SECONDS))
        return self.counts

    def _poll(self, seconds: float) -> None:
        """Serve callbacks; a failed message or a lack of progress ends the delivery."""
        self._producer.poll(seconds)
        settled = self.counts.delivered + self.counts.failed
        if settled != self._settled or not len(self._producer):
            self._settled = settled
            self._trouble = None
            self._wait.answered()
        if self._reports.failure is not None:
            raise self._not_delivered()
        self._raise_if_refused()
        self._raise_if_over()

    def _on_error(self, error: KafkaError) -> None:
        LOGGER.debug("kafka client: %s", error.str())
        # "All brokers are down" says less than the reason reported just before it.
        if self._trouble is None or error.code() != ALL_BROKERS_DOWN:
            self._trouble = error

    def _raise_if_refused(self) -> None:
        if self._trouble is not None and (why := refusal(self._trouble)):
            raise DeliveryError(f"The broker at `{self._servers}` refused this client: {why}")

    def _raise_if_over(self) -> None:
        why = self._trouble.str() if self._trouble else "no answer"
        if self._wait.expired:
            raise DeliveryError(
                f"Kafka at `{self._servers}` gave no answer for `{self._topic}`"
                f" {self._wait.span()}: {why}. Start the stack with `make up`, set"
                " KAFKA_BOOTSTRAP_SERVERS, or wait longer with the setting named here."
            )
        self._wait.unanswered(f"{why}. Ctrl-C ends the wait")

    def _not_delivered(self) -> DeliveryError:
        failure = self._reports.failure
        if self._reports.too_large:
            number, size = self._reports.too_large
            record = self._place(number) if self._place else None
            skip = f"; `--from-record {record + 1}` leaves it out" if record else ""
            return DeliveryError(
                f"{f'Record {record}' if record else 'A record'}, of {size} bytes, was refused as"
                f" too large: the limit of `{self._topic}` at `{self._servers}`,"
                " `max.message.bytes`, is that of the records that are sent together, compressed."
                f" Raise it, or make the record smaller, and send it again{skip}."
            )
        why = failure.str() if failure else "no confirmation came"
        return DeliveryError(
            f"`{self._topic}` at `{self._servers}` did not confirm every message: {why}."
            " See `make status` and `make logs SERVICE=kafka`, then send again."
        )
