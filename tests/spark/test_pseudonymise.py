"""Digests: equal to the standard's own vectors, and their key nowhere to be read."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.transforms.profiles import classify_profiles
from spark_jobs.transforms.pseudonymise import Digests
from tests.support.builders import profile

# RFC 4231, test cases 1, 2, 3, 4, 6 and 7: key, data, digest.
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data."
        b" The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]
KEY = "Q7-very-secret-key-Zx"


def spellings_of_the_key() -> list[str]:
    """The key and both pads, in every form in which a plan or a log could show bytes."""
    block = KEY.encode().ljust(64, b"\0")
    pads = [bytes(byte ^ mask for byte in block)[: len(KEY)] for mask in (0x36, 0x5C)]
    secrets = [KEY.encode(), *pads]
    texts = [secret.hex() for secret in secrets]
    texts += [" ".join(f"{byte:02x}" for byte in secret) for secret in secrets]
    texts += [separator.join(map(str, secret)) for secret in secrets for separator in (", ", ",")]
    texts += [base64.b64encode(secret)[:24].decode() for secret in secrets]
    # Ten characters on end are enough to give the key away.
    texts += [secret.decode()[:10] for secret in secrets]
    texts += [json.dumps(secret.decode()[:10])[1:-1] for secret in secrets]
    return [text.lower() for text in texts]


@pytest.mark.parametrize(("key", "data", "expected"), RFC_4231, ids=["1", "2", "3", "4", "6", "7"])
def test_keyed_digests_agree_with_rfc_4231(
    spark: SparkSession, key: bytes, data: bytes, expected: str
) -> None:
    digests = Digests(key, "test")
    rows = spark.createDataFrame([(bytearray(data),), (None,)], "data binary")

    got = digests.with_pads(rows).select(digests.digest(F.col("data"))).collect()

    assert [row[0] for row in got] == [expected, None]


def test_the_key_id_distinguishes_keys_and_repr_shows_no_key() -> None:
    digests = Digests.hmac_sha256(KEY)

    # printf 'millrace-key-id:Q7-very-secret-key-Zx' | sha256sum
    assert digests.key_id == "24c9c270"
    assert KEY not in repr(digests)
    assert KEY not in str(vars(Digests.sha256()))
    assert Digests.sha256().key_id == "sha256"


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="PII_HASH_KEY"):
        Digests.hmac_sha256("")


def event_log(spark: SparkSession) -> str:
    folder = Path(unquote(urlparse(spark.conf.get("spark.eventLog.dir") or "").path))
    application = spark.sparkContext.applicationId
    return "".join(p.read_text(encoding="utf-8") for p in folder.glob(f"{application}*"))


@pytest.mark.usefixtures("compiled")
def test_the_key_is_in_no_plan_progress_or_event_log(
    spark: SparkSession,
    frame: Callable[..., DataFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digests = Digests.hmac_sha256(KEY)
    frame([profile(), b"nonsense"]).write.parquet(str(tmp_path / "messages"))
    batch = spark.read.parquet(str(tmp_path / "messages"))
    stream = spark.readStream.schema(batch.schema).parquet(str(tmp_path / "messages"))
    profiles = classify_profiles(batch, digests=digests)

    profiles.write.format("noop").mode("overwrite").save()
    query = (
        classify_profiles(stream, digests=digests)
        .writeStream.format("memory")
        .queryName("secrecy")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    try:
        assert query.awaitTermination(120)
        query.explain(extended=True)
        progress = json.dumps(query.recentProgress)
    finally:
        query.stop()
    for mode in ("simple", "extended", "codegen", "cost", "formatted"):
        profiles.explain(mode=mode)
    plans = capsys.readouterr().out
    deadline = time.monotonic() + 60
    log = event_log(spark)
    while log.count(digests.key_id) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        log = event_log(spark)

    # The key's id is a literal in the same plans: what a literal shows would be found here.
    assert plans.count(digests.key_id) >= 5
    assert log.count(digests.key_id) >= 2
    everything = "\n".join([progress, plans, log]).lower()
    assert [text for text in spellings_of_the_key() if text in everything] == []


def test_a_pad_as_a_literal_would_be_found(
    spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search above can fail: the obvious way to write an HMAC is caught by it."""
    block = KEY.encode().ljust(64, b"\0")
    pad = bytes(byte ^ 0x36 for byte in block)
    leaking = spark.range(1).select(F.concat(F.lit(bytearray(pad)), F.col("id").cast("binary")))

    leaking.explain(mode="extended")

    plan = capsys.readouterr().out.lower()
    assert any(text in plan for text in spellings_of_the_key())
