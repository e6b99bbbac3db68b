"""Reads a CSV in pages, from any position: a file on this machine or an object on S3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from errors import DeliveryError
from producers.s3 import s3_client
from runtime import remedies
from settings import Settings

PAGE_BYTES: Final = 8 * 1024 * 1024
CHANGED_CODES: Final = frozenset(("PreconditionFailed", "412"))


class SourceError(DeliveryError):
    """A CSV cannot be read, or the file is not a CSV."""


class CsvSource(Protocol):
    """Bytes that stay the same while `version` does."""

    @property
    def name(self) -> str:
        """Its full path or address."""

    @property
    def version(self) -> str:
        """Changes with the content."""

    def pages(self, start: int) -> Iterator[bytes]:
        """The bytes from a position to the end, in pages.

        Raises:
            SourceError: it cannot be read, or was changed since `version` was taken.
        """


def open_source(settings: Settings, place: str) -> CsvSource:
    """Find a file or an `s3://` object.

    Raises:
        SourceError: it does not exist or may not be read.
    """
    return _S3Source(settings, place) if place.startswith("s3://") else _FileSource(Path(place))


def _file_version(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size}-{state.st_mtime_ns}"


def _changed(name: str) -> SourceError:
    return SourceError(
        f"`{name}` was changed while it was read. What was sent before is on the topic; send the"
        f" whole file again with `{remedies.again('--from-start')}` (an id that comes twice counts"
        " once)."
    )


class _FileSource:
    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.name = str(self._path)
        with self._explained():
            if not self._path.is_file():
                raise FileNotFoundError(2, "not a file, or it does not exist")
            self.version = _file_version(self._path)

    def pages(self, start: int) -> Iterator[bytes]:
        with self._explained(), self._path.open("rb") as file:
            file.seek(start)
            while page := file.read(PAGE_BYTES):
                yield page
                if _file_version(self._path) != self.version:
                    raise _changed(self.name)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(
                f"Cannot read `{self._path}`: {error.strerror or type(error).__name__}. Correct"
                " CUSTOMERS_SOURCE or `--source`, or the file's access rights."
            ) from error


@dataclass
class _S3Source:
    """An object, read in ranges, so that only one page is in memory."""

    settings: Settings
    name: str

    def __post_init__(self) -> None:
        # Not as a URL: in a key, `#` and `?` are characters like others.
        bucket, _, key = self.name.removeprefix("s3://").partition("/")
        self._object = {"Bucket": bucket, "Key": key}
        with self._explained():
            self._client: Any = s3_client(
                self.settings, connect_timeout=10, read_timeout=60, retries={"mode": "standard"}
            )
            head = self._client.head_object(**self._object)
        self._etag, self._size = str(head["ETag"]), int(head["ContentLength"])
        self.version = f"{self._size}-{self._etag}"

    def pages(self, start: int) -> Iterator[bytes]:
        while start < self._size:
            with self._explained():
                answer = self._client.get_object(
                    **self._object,
                    Range=f"bytes={start}-{start + PAGE_BYTES - 1}",
                    IfMatch=self._etag,
                )
                page = answer["Body"].read()
            yield page
            start += len(page)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in CHANGED_CODES:
                raise _changed(self.name) from error
            raise SourceError(
                f"S3 did not return `{self.name}`: {code}. Correct CUSTOMERS_SOURCE, AWS_REGION,"
                " S3_ENDPOINT_URL or the AWS_… credentials and their rights."
            ) from error
        except (BotoCoreError, OSError) as error:
            raise SourceError(
                f"Cannot read `{self.name}`: {type(error).__name__}. Check that S3_ENDPOINT_URL"
                " answers and that AWS_… credentials are set."
            ) from error
