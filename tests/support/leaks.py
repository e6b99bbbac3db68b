"""Search for secrets in everything that a job shows or leaves: one place, many spellings."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

LZ4_STREAM = b"LZ4Block"
ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
ZIP_FILE = b"PK\x03\x04"

Places = dict[str, bytes]
"""What was found at each address or path, in lower case."""


def hmac_pads(key: str) -> list[bytes]:
    """The two pads of RFC 2104 for a key of up to 64 bytes, as long as the key."""
    return [bytes(byte ^ mask for byte in key.encode()) for mask in (0x36, 0x5C)]


def spellings(secret: str | bytes) -> set[bytes]:
    """Every form in which a plan, a page or a log could show a text or bytes; in lower case."""
    raw = secret.encode() if isinstance(secret, str) else secret
    text = raw.decode()
    forms = [
        text,
        json.dumps(text)[1:-1],
        html.escape(text),
        quote(text),
        raw.hex(),
        raw.hex(" "),
        ", ".join(map(str, raw)),
        ",".join(map(str, raw)),
        # Without the last group, which depends on what follows.
        base64.b64encode(raw)[: len(raw) // 3 * 4].decode(),
    ]
    return {form.lower().encode() for form in forms}


def leaks(secrets: Iterable[str | bytes], places: Places) -> list[str]:
    """Where which secret is to be read."""
    forms = {secret: spellings(secret) for secret in secrets}
    return [
        f"{secret!r} in {name}"
        for secret, spelled in forms.items()
        for name, content in places.items()
        if any(form in content for form in spelled)
    ]


def files_below(folder: Path, spark: SparkSession) -> Places:
    """All files of a folder, compressed ones as they are and unpacked too."""
    places: Places = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file() and path.suffix != ".jar":
                content = path.read_bytes()
                places |= {
                    str(path.relative_to(folder)) + suffix: part.lower()
                    for suffix, part in _readable(content, spark)
                }
        except FileNotFoundError:
            continue  # a running job deletes its temporary files
    return places


def _readable(content: bytes, spark: SparkSession) -> Iterator[tuple[str, bytes]]:
    yield "", content
    if content.startswith(ZIP_FILE):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                for suffix, part in _readable(archive.read(name), spark):
                    yield f"!{name}{suffix}", part
    elif content.startswith(LZ4_STREAM):
        yield "!lz4", _unpacked(content, spark, "net.jpountz.lz4.LZ4BlockInputStream")
    elif content.startswith(ZSTD_FRAME):
        yield "!zstd", _unpacked(content, spark, "com.github.luben.zstd.ZstdInputStream")


def _unpacked(content: bytes, spark: SparkSession, stream_class: str) -> bytes:
    """What Spark compressed, read by the classes that Spark uses."""
    java: Any = spark._jvm  # noqa: SLF001 - PySpark has no public API
    packed = java.java.io.ByteArrayInputStream(bytearray(content))
    out = java.java.io.ByteArrayOutputStream()
    stream = getattr(java, stream_class)(packed)
    try:
        java.org.apache.commons.io.IOUtils.copy(stream, out)
    except Py4JJavaError as error:
        # The file of a running job may end in the middle of a block.
        assert "EOFException" in str(error.java_exception), error  # noqa: PT017 - what is left counts
    return bytes(out.toByteArray())


def command_lines(pid: int) -> Places:
    """The command lines of a process and of all its children, as `ps` shows them."""
    process = psutil.Process(pid)
    found: dict[str, bytes] = {}
    for each in [process, *process.children(recursive=True)]:
        # Short-lived children, such as launch scripts, end while one looks.
        with contextlib.suppress(psutil.NoSuchProcess):
            line = "\n".join(each.cmdline()).lower().encode()
            found[f"command line of {each.name()} {each.pid}"] = line
    return found


def java_environments(pid: int) -> Places:
    """The environments of the JVMs that a process has started."""
    children = psutil.Process(pid).children(recursive=True)
    return {
        f"environment of {each.name()} {each.pid}": repr(each.environ()).lower().encode()
        for each in children
        if each.name() == "java"
    }


def addresses_of_listeners(pid: int) -> set[str]:
    """Where the JVMs that a process has started accept connections."""
    children = psutil.Process(pid).children(recursive=True)
    found = [each.net_connections("tcp") for each in children if each.name() == "java"]
    return {
        each.laddr.ip.removeprefix("::ffff:")
        for each in itertools.chain(*found)
        if each.status == psutil.CONN_LISTEN
    }


def spark_ui(address: str) -> Places:
    """What Spark's REST interface and its pages show of an application."""
    application = requests.get(f"{address}/api/v1/applications", timeout=30).json()[0]["id"]
    rest = f"{address}/api/v1/applications/{application}"
    urls = [
        f"{rest}/sql?details=true&planDescription=true&length=1000",
        f"{rest}/environment",
        f"{rest}/jobs",
        f"{rest}/stages?details=true",
        f"{rest}/allexecutors",
        f"{rest}/storage/rdd",
        *(f"{address}/{page}/" for page in ("SQL", "StreamingQuery", "environment", "jobs")),
        *(f"{address}/{page}/" for page in ("stages", "storage", "executors")),
    ]
    places: Places = {}
    for url in urls:
        places[url] = page(url)
    executions = json.loads(places[urls[0]])
    links = {f"/SQL/execution/?id={execution['id']}" for execution in executions}
    streaming = places[f"{address}/StreamingQuery/"].decode()
    runs = re.findall(r"statistics/?\?id=[\w-]+", streaming)
    assert runs, "the page of streaming queries links to none"
    for link in [*links, *(f"/StreamingQuery/{run}" for run in runs)]:
        places[address + link] = page(address + link)
    return places


def page(url: str) -> bytes:
    """A page of Spark's UI, in lower case."""
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 200, f"{url}: {answer.status_code}"
    return answer.content.lower()
