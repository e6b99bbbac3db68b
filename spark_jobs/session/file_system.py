"""The file operations that files and checkpoints need: locally by `os`, elsewhere by Hadoop.

Paths are relative to a root (`OUTPUT_PATH`, a checkpoint), with `/`. Readers see a file that
`write` or `move` puts in place completely or not at all; a file that was there is replaced. On S3
a move is a copy.
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

# Readers (Spark, Hive, Arrow) skip names that begin with an underscore.
STAGING = "_staging"
STATE = "_millrace"
CONNECT_RETRIES = "2"


@dataclass(frozen=True)
class StoredFile:
    """A file: its path below the listed folder, and its size in bytes."""

    path: str
    size: int


class ReadableFiles(Protocol):
    """The operations that reading needs."""

    def url(self, path: str) -> str:
        """The path in the form that its readers take."""

    def read(self, path: str) -> bytes | None:
        """A small file's content, None if there is no such file."""

    def files(self, folder: str) -> list[StoredFile]:
        """All files below a folder, by path; none if there is no folder."""


class FileSystem(ReadableFiles, Protocol):
    """The operations that the files sink needs."""

    @property
    def is_local(self) -> bool:
        """Whether it is a file system of this machine."""

    def write(self, path: str, content: bytes) -> None:
        """Write a small file atomically."""

    def move(self, source: str, target: str) -> None:
        """Move a finished file into place, creating the folders above it."""

    def names(self, folder: str) -> list[str]:
        """Names of the direct entries of a folder; none if there is no folder."""

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with its content, if it exists."""

    def delete_whole(self) -> None:
        """Delete the root folder, if possible in one step for readers."""


@dataclass(frozen=True)
class LocalFiles:
    """Files on this machine, on the disk when a call returns."""

    root: Path
    is_local: bool = True

    def url(self, path: str) -> str:
        """The path as a `file:` address."""
        # Not `as_uri`: Spark does not decode `%3D`.
        return f"file://{self.root / path}"

    def read(self, path: str) -> bytes | None:
        """A small file's content, None if there is no such file."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write to a temporary file, then rename it."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        _rename(partial, target)

    def move(self, source: str, target: str) -> None:
        """Rename a file once its content is on disk."""
        to = self.root / target
        to.parent.mkdir(parents=True, exist_ok=True)
        _rename(self.root / source, to)

    def files(self, folder: str) -> list[StoredFile]:
        """All files below a folder, by path."""
        top = self.root / folder
        found = [StoredFile(str(path.relative_to(top)), path.stat().st_size) for path in _walk(top)]
        return sorted(found, key=lambda file: file.path)

    def names(self, folder: str) -> list[str]:
        """Names of the direct entries of a folder."""
        try:
            return os.listdir(self.root / folder)
        except FileNotFoundError:
            return []

    def delete_whole(self) -> None:
        """Rename the root, then delete it under its new name."""
        aside = self.root.with_name(f".{self.root.name}.deleted")
        shutil.rmtree(aside, ignore_errors=True)
        if self.root.exists():
            self.root.rename(aside)
            shutil.rmtree(aside)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with its content."""
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
        """A small file's content, None if there is no such file."""
        here = self._path(path)
        if not self._system.exists(here):
            return None
        stream = self._system.open(here)
        try:
            return bytes(_jvm().org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()

    def write(self, path: str, content: bytes) -> None:
        """Write by one atomic put on S3; elsewhere to a temporary file that is then renamed."""
        if self._is_object_store:
            self._put(self._path(path), content)
            return
        partial = f"{STATE}/.{uuid.uuid4().hex}.partial"
        self._put(self._path(partial), content)
        self.move(partial, path)

    def move(self, source: str, target: str) -> None:
        """Rename, replacing any file there; on S3 copy, by one put if there is such a file."""
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
        """Names of the direct entries of a folder."""
        here = self._path(folder)
        if not self._system.exists(here):
            return []
        return [status.getPath().getName() for status in self._system.listStatus(here)]

    def delete_whole(self) -> None:
        """Delete the root, on S3 file by file."""
        self.delete("")

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with its content."""
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
    """Whether files can be reached now: HDFS and S3 need a driver that has their classes."""
    if isinstance(system, LocalFiles):
        return True
    context = SparkContext._active_spark_context  # noqa: SLF001 - PySpark has no public API
    # It is the active context even before its JVM part exists.
    if getattr(context, "_jsc", None) is None:
        return False
    scheme = urlsplit(system.url("")).scheme
    try:
        _jvm().org.apache.hadoop.fs.FileSystem.getFileSystemClass(scheme, _hadoop_conf())
    except Py4JJavaError:
        return False
    return True


def _jvm() -> Any:
    context = SparkContext._active_spark_context  # noqa: SLF001 - PySpark has no public API
    if context is None:
        raise SinkRejected("Files on HDFS or S3 need Spark, which is not running.")
    return context._jvm  # noqa: SLF001


def _hadoop_conf() -> Any:
    context = SparkContext._active_spark_context  # noqa: SLF001
    return context._jsc.hadoopConfiguration()  # type: ignore[union-attr]  # noqa: SLF001


@cache
def _hadoop_system(root: str, jvm_id: int) -> Any:
    """One client per address, with few attempts, so that an outage shows soon."""
    jvm = _jvm()
    conf = jvm.org.apache.hadoop.conf.Configuration(_hadoop_conf())
    conf.set("ipc.client.connect.max.retries", CONNECT_RETRIES)
    conf.set("fs.s3a.attempts.maximum", CONNECT_RETRIES)
    # Not `URI(root)`, which rejects blanks and brackets.
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
