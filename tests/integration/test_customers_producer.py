"""The customers producer as a command: from disk and from S3, and after it was killed."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from producers.csv_source import PAGE_BYTES, SourceError, open_source
from producers.csv_text import open_text
from producers.customer_progress import LARGEST_QUEUE
from settings import Settings
from spark_jobs.sources.topics import delete_topics, ensure_topics
from tests.integration.test_producers import messages_of

HEADER = "customer_id,first_name,last_name,email,country,address\n"


def write_file(path: Path, rows: int, padding: int = 0) -> None:
    with path.open("w", newline="") as file:
        file.write(HEADER)
        for number in range(rows):
            text = "x" * padding
            file.write(f'C{number},Ada,Lovelace,a{number}@example.com,USA,"1 Main St\n{text}"\n')


def start(home: Path, settings: Settings, *options: str, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "producers.customers", *options,
         "--bootstrap-servers", settings.kafka_bootstrap_servers],
        env=os.environ | {"MILLRACE_HOME": str(home)} | extra,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def output(run: subprocess.Popen[str]) -> list[str]:
    out, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors
    return out.splitlines()


def ids(settings: Settings, topic: str) -> Counter[str]:
    read = [message for _, message in messages_of(settings, topic)]
    records = [json.loads(message.value) for message in read]
    assert [message.key for message in read] == [r["customer_id"].encode() for r in records]
    return Counter(record["customer_id"] for record in records)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_settings(address: str) -> dict[str, str]:
    return {
        "S3_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-3",
    }


def put(address: str, key: str, content: bytes) -> None:
    client = boto3.client(
        "s3", endpoint_url=address, region_name="eu-west-3",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    try:
        client.create_bucket(
            Bucket="imports", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
        )
    except client.exceptions.BucketAlreadyOwnedByYou:
        pass
    client.put_object(Bucket="imports", Key=key, Body=content)


def test_killed_producer_goes_on_and_loses_no_row(
    settings: Settings, make_topic: Callable[[], str], tmp_path: Path
) -> None:
    topic, path = make_topic(), tmp_path / "customers.csv"
    write_file(path, 3000)
    options = ("--source", str(path), "--topic", topic)
    run = start(tmp_path, settings, *options, "--rate", "1000")
    deadline = time.monotonic() + 30
    while len(messages_of(settings, topic)) < 500 and time.monotonic() < deadline:
        time.sleep(0.1)
    run.kill()
    run.communicate()
    before = sum(ids(settings, topic).values())

    lines = output(start(tmp_path, settings, *options))

    found = ids(settings, topic)
    assert set(found) == {f"C{number}" for number in range(3000)}
    assert 500 <= before < 3000
    sent = int(lines[-1].split()[0].removeprefix("sent="))
    assert lines[-1] == f"sent={sent} delivered={sent} failed=0"
    assert sent <= 3000 - before + LARGEST_QUEUE + 300
    assert sum(found.values()) == before + sent
    assert output(start(tmp_path, settings, *options))[-1] == "sent=0 delivered=0 failed=0"


def test_topic_that_was_deleted_and_created_again_gets_the_whole_file(
    settings: Settings, make_topic: Callable[[], str], tmp_path: Path
) -> None:
    topic, path = make_topic(), tmp_path / "customers.csv"
    write_file(path, 20)
    options = ("--source", str(path), "--topic", topic)
    output(start(tmp_path, settings, *options, "--count", "5"))
    part = output(start(tmp_path, settings, *options))
    assert part[1] == "continues at line 12 (5 rows sent before)"
    assert part[-1] == "sent=15 delivered=15 failed=0"
    done = output(start(tmp_path, settings, *options))
    assert done[1].startswith("was sent before, all 20 rows; `")
    assert done[2:] == ["sent=0 delivered=0 failed=0"]

    delete_topics(settings, [topic])
    ensure_topics(settings, [topic])

    assert output(start(tmp_path, settings, *options))[-1] == "sent=20 delivered=20 failed=0"
    assert set(ids(settings, topic)) == {f"C{number}" for number in range(20)}


def test_an_object_on_s3_larger_than_a_page_arrives_whole(
    settings: Settings, make_topic: Callable[[], str], tmp_path: Path, s3: str
) -> None:
    topic, path = make_topic(), tmp_path / "customers.csv"
    write_file(path, 200, padding=60_000)
    assert PAGE_BYTES < path.stat().st_size < 2 * PAGE_BYTES
    put(s3, "daily/customers.csv", path.read_bytes())
    options = ("--source", "s3://imports/daily/customers.csv", "--topic", topic)

    lines = output(start(tmp_path, settings, *options, **s3_settings(s3)))

    assert lines[0] == "customer source: `s3://imports/daily/customers.csv`"
    assert lines[-2:] == [
        "customer rows: 200 read, 200 sent, 0 skipped; whole file done",
        "sent=200 delivered=200 failed=0",
    ]
    assert ids(settings, topic) == Counter(f"C{number}" for number in range(200))


def test_an_object_that_changes_between_two_pages_is_noticed(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.csv_source.PAGE_BYTES", 4)
    put(s3, "changing.csv", b"0123456789")
    settings = Settings(**{name.lower(): value for name, value in s3_settings(s3).items()})  # type: ignore[arg-type]
    pages = open_source(settings, "s3://imports/changing.csv").pages(2)

    assert next(pages) == b"2345"
    put(s3, "changing.csv", b"9876543210")
    with pytest.raises(SourceError, match=r"`s3://imports/changing\.csv` was changed"):
        next(pages)


def test_a_packed_object_is_unpacked_over_its_pages(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.csv_source.PAGE_BYTES", 64)
    text = HEADER + "".join(f"C{number},Zoë,{number**7}\n" for number in range(500))
    put(s3, "packed.csv", gzip.compress(("\ufeff" + text).encode("utf-16-le")))
    settings = Settings(**{name.lower(): value for name, value in s3_settings(s3).items()})  # type: ignore[arg-type]

    source = open_text(settings, "s3://imports/packed.csv")

    assert b"".join(source.pages(0)) == text.encode()
    assert b"".join(source.pages(1000)) == text.encode()[1000:]


def test_characters_of_web_addresses_are_part_of_a_key(s3: str) -> None:
    settings = Settings(**{name.lower(): value for name, value in s3_settings(s3).items()})  # type: ignore[arg-type]
    for key in ("day #1?/a b%20.csv", "day "):
        put(s3, key, key.encode())

        pages = open_source(settings, f"s3://imports/{key}").pages(0)

        assert b"".join(pages) == key.encode()


def test_an_object_that_is_not_there_is_named(s3: str) -> None:
    put(s3, "other.csv", b"")
    settings = Settings(**{name.lower(): value for name, value in s3_settings(s3).items()})  # type: ignore[arg-type]

    with pytest.raises(SourceError, match=r"S3 did not return `s3://imports/none\.csv`: 404"):
        open_source(settings, "s3://imports/none.csv")
