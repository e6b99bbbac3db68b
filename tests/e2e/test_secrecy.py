"""The key and people's clear values are nowhere but on the topics, whatever happens to a job."""

from __future__ import annotations

import base64
import json
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from local_stack.mongodb import MongoDB
from settings import Settings
from spark_jobs.profiles import PROFILES
from spark_jobs.run.locks import running_job
from spark_jobs.state.ledger import Counts
from tests.support.leaks import (
    Places,
    addresses_of_listeners,
    command_lines,
    files_below,
    hmac_pads,
    java_environments,
    leaks,
    page,
    spark_ui,
)
from tests.support.pipelines import TEST_KEY, MakeWorld
from tests.support.processes import output_of, start_job, wait_for
from tests.support.world import Message, World

# 2026-11-22T10:15:00Z
SENT_MS = 1_795_342_500_000
GROWN_UP, CHILD, NO_DATE = "1992-03-08T15:13:16.688Z", "2016-01-01T00:00:00Z", "08/03/1992"
KEY_SPELLINGS: list[str | bytes] = [TEST_KEY, *hmac_pads(TEST_KEY)]
# printf 'millrace-key-id:a key for tests only' | sha256sum
KEY_ID = "fa362f9c"
# What a batch needs first of MongoDB, before any sink is written.
OUTAGE = "MongoDB did not return the confirmations"


class Person:
    """A profile in which every value is unique: it is found nowhere else, not even at random."""

    def __init__(self, number: int, born: str) -> None:
        self.uuid = f"5ec2e700-0000-4000-8000-00000000000{number}"
        self.born = born
        self.email = f"Zq.Vexler{number}@Hidden-Mail.test"
        self.phone = f"+44 (0)7700-9{number}0-417"
        self.street, self.city = f"Quuxham{number} Row", f"Nether Wallop{number}"
        self.postcode = f"ZQ{number} 4XW"
        self.last, self.username = f"Wrenfield{number}", f"mauvebadger{number}"
        # What may only be on the topic, and what Cassandra may hold as well.
        self.hashed = [
            self.email,
            self.email.partition("@")[0],
            self.phone,
            f"+4407700{9}{number}0417",
            self.street,
            self.city,
            self.postcode,
        ]
        self.personal = [self.last, self.username]

    def message(self) -> Message:
        record: dict[str, Any] = {
            "gender": "female",
            "name": {"title": "Ms", "first": "Ada", "last": self.last},
            "location": {
                "street": {"number": 12, "name": self.street},
                "city": self.city,
                "country": "United Kingdom",
                "postcode": self.postcode,
            },
            "email": self.email,
            "login": {"uuid": self.uuid, "username": self.username},
            "dob": {"date": self.born},
            "phone": self.phone,
            "nat": "GB",
        }
        return self.uuid.encode(), json.dumps(record).encode()


def event_log_options(folder: Path) -> str:
    """Options for every Java of a job that turn the event log on: no setting of the job does."""
    folder.mkdir(parents=True)
    return (
        f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} -Dspark.eventLog.enabled=true"
        f" -Dspark.eventLog.dir={folder.as_uri()}"
    )


def stores(world: World) -> Places:
    """Every row of Cassandra and every document of MongoDB."""
    rows = {table.name: world.rows(table.name) for table in world.pipeline.tables}
    documents = {
        name: list(world.database[name].find()) for name in world.database.list_collection_names()
    }
    return {
        **{f"Cassandra {name}": repr(found).lower().encode() for name, found in rows.items()},
        **{f"MongoDB {name}": repr(found).lower().encode() for name, found in documents.items()},
    }


def test_job_that_meets_faults_shows_and_leaves_no_secret(
    make_world: MakeWorld, settings: Settings
) -> None:
    world = make_world(PROFILES)
    home = world.settings.millrace_home
    stored, rejected, child, delayed, refused = people = [
        Person(number, born)
        for number, born in enumerate((GROWN_UP, NO_DATE, CHILD, GROWN_UP, GROWN_UP), 1)
    ]
    java_options = event_log_options(home / "events")
    process = start_job(world, LOG_LEVEL="DEBUG", JAVA_TOOL_OPTIONS=java_options)
    outside: Places = {}
    try:
        wait_for(lambda: "query=profiles started" in output_of(world), 90, "start")
        world.send(*(p.message() for p in (stored, rejected, child)), timestamp_ms=SENT_MS)
        wait_for(lambda: world.totals().read == 3, 90, "first batch")
        store = MongoDB(settings)
        store.stop()
        try:
            world.send(delayed.message(), timestamp_ms=SENT_MS)
            wait_for(lambda: "query=profiles waits" in output_of(world), 90, "failure of a store")
            running = running_job(world.pipeline, world.settings)
            assert running is not None
            streaming = f"{running['ui']}/StreamingQuery/"
            # Spark's pages hear of the end of a query a while after the job does.
            wait_for(lambda: OUTAGE.lower().encode() in page(streaming), 60, "failure on the page")
            outside |= command_lines(process.pid) | spark_ui(running["ui"])
            outside |= java_environments(process.pid)
            listeners = addresses_of_listeners(process.pid)
            outside |= files_below(home, world.spark)
        finally:
            store.start()
            store.wait_ready()
        wait_for(lambda: world.totals().read == 4, 120, "batch after the outage")
        table = f"{world.keyspace}.users_profiles"
        world.session.execute(f"ALTER TABLE {table} DROP full_name", timeout=60)
        world.send(refused.message(), timestamp_ms=SENT_MS)
        code = process.wait(120)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
    inside = stores(world)
    outside |= {f"{name} (after)": part for name, part in files_below(home, world.spark).items()}

    assert code == 1
    assert listeners == {"127.0.0.1"}
    assert "Cassandra refused to take batch" in output_of(world)
    assert world.totals() == Counts(
        read=4, stored=2, dead_lettered=1, filtered=1, reasons={"invalid_dob_date": 1}
    )
    never: list[str | bytes] = [
        *KEY_SPELLINGS,
        *(value for person in people for value in person.hashed),
    ]
    assert leaks(never, outside | inside) == []
    assert leaks([child.uuid, *child.personal, *rejected.personal], outside | inside) == []
    assert leaks([value for person in people for value in person.personal], outside) == []
    # What may be seen is seen: the search looks where it should.
    for secret, place in (
        (stored.uuid, "Cassandra users_profiles"),
        (stored.last, "Cassandra profiles_by_nationality"),
        (stored.uuid, "changelog!lz4"),
        (KEY_ID, "MongoDB batches"),
        (KEY_ID, "/sql?details=true"),
        (KEY_ID, "/SQL/execution/?id="),
        (KEY_ID, "events/"),
        (OUTAGE, "/StreamingQuery/"),
        ("-Dmillrace.jvm.log", "command line of java"),
        (str(home), "environment of java"),
    ):
        assert any(place in found for found in leaks([secret], outside | inside)), (secret, place)


@pytest.mark.parametrize("hidden", [*KEY_SPELLINGS, "Jane@X.test", "10 Rue Zoë"])
def test_a_secret_in_any_spelling_and_packing_is_found(
    hidden: str | bytes, tmp_path: Path, job_spark: SparkSession
) -> None:
    raw = hidden.encode() if isinstance(hidden, str) else hidden
    (tmp_path / "text").write_bytes(b"log: " + raw.upper() if raw.isascii() else raw)
    (tmp_path / "hex").write_text(f"0x{raw.hex().upper()}00")
    (tmp_path / "list").write_text(str(list(raw)))
    (tmp_path / "base64").write_bytes(base64.b64encode(raw))
    (tmp_path / "json").write_text(json.dumps({"a": raw.decode()}))
    with zipfile.ZipFile(tmp_path / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", b"x" * 100 + raw)
    for name, stream in (
        ("lz4", "net.jpountz.lz4.LZ4BlockOutputStream"),
        ("zstd", "com.github.luben.zstd.ZstdOutputStream"),
    ):
        java: Any = job_spark._jvm  # noqa: SLF001 - PySpark has no public API
        packed = java.java.io.ByteArrayOutputStream()
        out = getattr(java, stream)(packed)
        out.write(bytearray(raw * 9))
        out.close()
        (tmp_path / name).write_bytes(bytes(packed.toByteArray()))

    found = leaks([hidden], files_below(tmp_path, job_spark))

    places = {leak.rpartition(" in ")[2] for leak in found}
    assert places >= {"text", "hex", "list", "base64", "json", "zip!inside", "lz4!lz4", "zstd!zstd"}
