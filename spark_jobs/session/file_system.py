"""What files and checkpoints ask of a file system: here by `os`, elsewhere by Hadoop.

Paths are relative to a root (`OUTPUT_PATH`, a checkpoint), with `/`. A file that `write` or `move`
puts in place is seen whole or not at all; what stood there before is replaced. On S3 a move is a
copy.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext

from errors import SinkRejected
from runtime.files import sync
from settings import Settings

# Readers (Spark, Hive, Arrow) skip names that begin so.
STAGING = "_staging"
STATE = "_millrace"
CONNECT_RETRIES = "2"


@dataclass(frozen=True)
class StoredFile:
    """A file: its path below the folder that was asked for, and its size in bytes."""

    path: str
    size: int


class ReadableFiles(Protocol):
    """What reading needs."""

    def url(self, path: str) -> str:
        """The path as its readers want it."""

    def read(self, path: str) -> bytes | None:
        """A small file's content, None where there is none."""

    def files(self, folder: str) -> list[StoredFile]:
        """All files below a folder, by path; none where there is no folder."""


class FileSystem(ReadableFiles, Protocol):
    """The few operations that the sink needs."""

    @property
    def is_local(self) -> bool:
        """Whether it is a file system of this machine."""

    def write(self, path: str, content: bytes) -> None:
        """Put a small file in place, whole."""

    def move(self, source: str, target: str) -> None:
        """Put a finished file in place, with the folders above it."""

    def names(self, folder: str) -> list[str]:
        """Names of what is directly in a folder; none where there is no folder."""

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all in it; nothing where there is none."""

    def delete_whole(self) -> None:
        """Delete the root folder, in one step as readers see it, where that is possible."""


@dataclass(frozen=True)
class LocalFiles:
    """Files on this machine, on the disk when a call returns."""

    root: Path
    is_local: bool = True

    def url(self, path: str) -> str:
        """The path as a `file:` address."""
        # Not `as_uri`: Spark takes `%3D` as it stands.
        return f"file://{self.root / path}"

    def read(self, path: str) -> bytes | None:
        """A small file's content, None where there is none."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write beside, then rename."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        _rename(partial, target)

    def move(self, source: str, target: str) -> None:
        """Rename, once the content is on the disk."""
        to = self.root / target
        to.parent.mkdir(parents=True, exist_ok=True)
        _rename(self.root / source, to)

    def files(self, folder: str) -> list[StoredFile]:
        """All files below a folder, by path."""
        top = self.root / folder
        found = [StoredFile(str(path.relative_to(top)), path.stat().st_size) for path in _walk(top)]
        return sorted(found, key=lambda file: file.path)

    def names(self, folder: str) -> list[str]:
        """Names of what is directly in a folder."""
        try:
            return os.listdir(self.root / folder)
        except FileNotFoundError:
            return []

    def delete_whole(self) -> None:
        """Rename the root aside, then delete it there."""
        aside = self.root.with_name(f".{self.root.name}.deleted")
        shutil.rmtree(aside, ignore_errors=True)
        if self.root.exists():
            self.root.rename(aside)
            shutil.rmtree(aside)

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all in it."""
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


@dataclass(frozen=True)
class HadoopFiles:
    """Files on HDFS or S3, by Hadoop's FileSystem in the driver's JVM."""

    root: str
    is_local: bool = False

    def url(self, path: str) -> str:
        """The path as an address with its scheme."""
        return f"{self.root}/{path}" if path else self.root

    def read(self, path: str) -> bytes | None:
        """A small file's content, None where there is none."""
        here = self._path(path)
        if not self._system.exists(here):
            return None
        stream = self._system.open(here)
        try:
            return bytes(_jvm().org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()

    def write(self, path: str, content: bytes) -> None:
        """On S3 one put, which is seen whole; elsewhere written beside, then renamed over."""
        if self._is_object_store:
            self._put(self._path(path), content)
            return
        partial = f"{STATE}/.{uuid.uuid4().hex}.partial"
        self._put(self._path(partial), content)
        self.move(partial, path)

    def move(self, source: str, target: str) -> None:
        """Rename over what is there; on S3 copy, by one put where something is there."""
        start, end = self._path(source), self._path(target)
        self._system.mkdirs(end.getParent())
        if not self._is_object_store:
            options = _jvm().org.apache.hadoop.fs.Options.Rename
            array = SparkContext._gateway.new_array(options, 1)  # type: ignore[union-attr]  # noqa: SLF001
            array[0] = options.OVERWRITE
            context = _jvm().org.apache.hadoop.fs.FileContext
            context.getFileContext(start.toUri(), self._system.getConf()).rename(start, end, array)
        elif self._system.exists(end):
            copy = _jvm().org.apache.hadoop.fs.FileUtil.copy
            copy(self._system, start, self._system, end, True, True, self._system.getConf())
        elif not self._system.rename(start, end):
            raise OSError(f"{self.url(target)} was not put in place")

    def files(self, folder: str) -> list[StoredFile]:
        """All files below a folder, by path."""
        top = self._path(folder)
        if not self._system.exists(top):
            return []
        listed = self._system.listFiles(top, True)
        prefix = len(self._system.makeQualified(top).toString()) + 1
        found = []
        while listed.hasNext():
            status = listed.next()
            found.append(StoredFile(status.getPath().toString()[prefix:], status.getLen()))
        return sorted(found, key=lambda file: file.path)

    def names(self, folder: str) -> list[str]:
        """Names of what is directly in a folder."""
        here = self._path(folder)
        if not self._system.exists(here):
            return []
        return [status.getPath().getName() for status in self._system.listStatus(here)]

    def delete_whole(self) -> None:
        """Delete the root; on S3 file by file."""
        self.delete("")

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all in it."""
        self._system.delete(self._path(path), True)

    @property
    def _is_object_store(self) -> bool:
        return self.root.startswith("s3a:")

    @property
    def _system(self) -> Any:
        return _hadoop_system(self.root, id(_jvm()))

    def _path(self, path: str) -> Any:
        return _jvm().org.apache.hadoop.fs.Path(self.url(path))

    def _put(self, path: Any, content: bytes) -> None:
        stream = self._system.create(path, True)
        try:
            stream.write(bytearray(content))
        finally:
            stream.close()


def output_files(settings: Settings) -> FileSystem:
    """The file system of `OUTPUT_PATH`."""
    if "://" not in settings.output_path:
        return LocalFiles(Path(settings.output_path))
    return HadoopFiles(settings.output_path.rstrip("/"))


def can_be_reached(system: FileSystem) -> bool:
    """Whether calls can be made now: HDFS and S3 want a driver that has their classes."""
    if isinstance(system, LocalFiles):
        return True
    context = SparkContext._active_spark_context  # noqa: SLF001 - PySpark has no public way
    # It is the active one before its JVM part is there.
    if getattr(context, "_jsc", None) is None:
        return False
    scheme = urlsplit(system.url("")).scheme
    try:
        _jvm().org.apache.hadoop.fs.FileSystem.getFileSystemClass(scheme, _hadoop_conf())
    except Py4JJavaError:
        return False
    return True


def _jvm() -> Any:
    context = SparkContext._active_spark_context  # noqa: SLF001 - PySpark has no public way
    if context is None:
        raise SinkRejected("Files on HDFS or S3 are reached by Spark only, which does not run.")
    return context._jvm  # noqa: SLF001


def _hadoop_conf() -> Any:
    context = SparkContext._active_spark_context  # noqa: SLF001
    return context._jsc.hadoopConfiguration()  # type: ignore[union-attr]  # noqa: SLF001


@cache
def _hadoop_system(root: str, jvm_id: int) -> Any:
    """One client for each address: with few attempts, so that an outage shows soon."""
    jvm = _jvm()
    conf = jvm.org.apache.hadoop.conf.Configuration(_hadoop_conf())
    conf.set("ipc.client.connect.max.retries", CONNECT_RETRIES)
    conf.set("fs.s3a.attempts.maximum", CONNECT_RETRIES)
    # Not `URI(root)`, which refuses blanks and brackets.
    address = jvm.org.apache.hadoop.fs.Path(root).toUri()
    return jvm.org.apache.hadoop.fs.FileSystem.newInstance(address, conf)


def _rename(source: Path, target: Path) -> None:
    sync(source)
    source.replace(target)
    sync(target.parent)


def _walk(top: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for folder, _, names in os.walk(top):
            yield from (Path(folder) / name for name in names)
