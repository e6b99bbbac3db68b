"""Topics on several brokers, each of which learns of a new one at its own time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from settings import Settings
from spark_jobs.sources import broker, topics

SERVERS = ("b1:9092", "b2:9092", "b3:9092")


class Brokers:
    """What each broker lists, answer by answer; the last one stays. None: it does not answer."""

    def __init__(self, lists: dict[str, list[set[str] | None]]) -> None:
        self.lists, self.asked, self.clients = lists, list[str](), 0

    def admin(self, settings: Settings) -> Any:
        self.clients += 1
        return Admin(self, settings.kafka_bootstrap_servers)

    def listed(self, server: str) -> set[str] | None:
        self.asked.append(server)
        answers = self.lists[server]
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Admin:
    """Asks the first server that it was given."""

    def __init__(self, brokers: Brokers, servers: str) -> None:
        self.brokers, self.server = brokers, servers.partition(",")[0]

    def list_topics(self, timeout: float) -> Any:
        if (found := self.brokers.listed(self.server)) is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))  # noqa: SLF001
        hosts = enumerate(server.split(":") for server in self.brokers.lists)
        return SimpleNamespace(
            brokers={n: SimpleNamespace(host=h, port=int(p)) for n, (h, p) in hosts},
            topics={name: SimpleNamespace(partitions={}) for name in found},
        )


@pytest.fixture
def several(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(topics, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(topics, "LISTING_SECONDS", 0.2)
    return settings.model_copy(update={"kafka_bootstrap_servers": ",".join(SERVERS)})


def become(
    brokers: Brokers, settings: Settings, monkeypatch: pytest.MonkeyPatch, *, present: bool = True
) -> bool:
    monkeypatch.setattr(broker, "kafka_admin", brokers.admin)
    return topics._become(settings, brokers.admin(settings), ["t"], present=present)  # noqa: SLF001


def test_topic_is_there_when_every_broker_lists_it(
    several: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = Brokers({"b1:9092": [{"t"}], "b2:9092": [{"t"}], "b3:9092": [set(), set(), {"t"}]})

    assert become(brokers, several, monkeypatch)
    assert brokers.asked.count("b3:9092") == 3


def test_topic_that_one_broker_does_not_list_is_not_there(
    several: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = Brokers({"b1:9092": [{"t"}], "b2:9092": [set()], "b3:9092": [{"t"}]})

    assert not become(brokers, several, monkeypatch)


def test_topic_is_gone_when_no_broker_lists_it(
    several: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = Brokers({"b1:9092": [set()], "b2:9092": [{"t"}, set()], "b3:9092": [set()]})

    assert become(brokers, several, monkeypatch, present=False)


def test_broker_that_is_away_is_not_waited_for(
    several: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = Brokers({"b1:9092": [{"t"}], "b2:9092": [None], "b3:9092": [{"t"}]})

    assert become(brokers, several, monkeypatch)


def test_broker_alone_is_asked_by_the_same_client(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap_servers": "b1:9092"})
    brokers = Brokers({"b1:9092": [{"t"}]})

    assert become(brokers, alone, monkeypatch)
    assert brokers.clients == 1
