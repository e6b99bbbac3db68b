"""Turns a file's bytes into text: unpacks gzip, decodes UTF-16 and UTF-32, rejects other kinds."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import Final

from producers.csv_source import CsvSource, SourceError, open_source
from settings import Settings

TEXT_PAGE_BYTES: Final = 1024 * 1024
GZIP: Final = b"\x1f\x8b"
# UTF-32 first, as its mark begins with that of UTF-16.
MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_BLANK: Final = rb"(?:\xef\xbb\xbf|\s)*"
# Names of columns may begin with letters that mark a kind of binary files.
_BINARY: Final = rb"(?=.*[\0-\x08])"
# Kinds of files given instead of a CSV, by their first bytes; the first match counts.
KINDS: Final = tuple(
    (re.compile(begin, re.DOTALL), name)
    for begin, name in (
        (rb"PK\x03\x04.*xl/(?:workbook|worksheets)", "an Excel workbook (.xlsx)"),
        (rb"PK\x03\x04.*opendocument\.spreadsheet", "an OpenDocument spreadsheet (.ods)"),
        (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "a ZIP archive"),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls) or Office document"),
        (rb"PAR1(?![,;\t|\r\n])", "a Parquet file"),
        (rb"ORC" + _BINARY, "an ORC file"),
        (rb"Obj\x01", "an Avro file"),
        (rb"(?:ARROW1|FEA1)" + _BINARY, "an Arrow or Feather file"),
        (rb"SQLite format 3\0", "an SQLite database"),
        (rb"\x1f\x8b", "a gzip file inside another"),
        (rb"BZh[1-9]1AY", "a bzip2 file"),
        (rb"\xfd7zXZ\0", "an xz file"),
        (rb"\x28\xb5\x2f\xfd", "a Zstandard file"),
        (rb"\x04\x22\x4d\x18", "an LZ4 file"),
        (rb"\x1f\x9d", "a file of `compress` (.Z)"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (rb"Rar!\x1a\x07", "a RAR archive"),
        (rb".{257}ustar", "a tar archive"),
        (rb"%PDF-", "a PDF document"),
        (rb"\{\\rtf", "an RTF document"),
        (rb"\x89PNG|\xff\xd8\xff|GIF8", "a picture"),
        (rb"version https://git-lfs", "a Git LFS pointer, not the file itself"),
        (rb"(?:[^\0]\0\0\0){2}|(?:\0\0\0[^\0]){2}", "UTF-32 text without a byte order mark"),
        (rb"(?:[^\0]\0){4}|(?:\0[^\0]){4}", "UTF-16 text without a byte order mark"),
        (_BLANK + rb"(?i:(?:<!--.*)?<(?:!doctype html|html|head|body|table))", "an HTML page"),
        (_BLANK + rb"(?i:<(?:\?xml|[a-z]))", "an XML document"),
        (_BLANK + rb"(?:\{\s*[\"}]|\[\s*[\[{\]])", "JSON"),
    )
)  # fmt: skip


def open_text(settings: Settings, place: str) -> TextSource:
    """Find a file or an `s3://` object and check that it is text.

    Raises:
        SourceError: it does not exist, may not be read, or is not text.
    """
    return TextSource(open_source(settings, place))


class TextSource:
    """The text of a file as a source of its own, in UTF-8 or the file's 8-bit encoding.

    Positions count bytes of the text. In a plain file they are the file's own; otherwise the text
    before a position is decoded again and skipped.
    """

    def __init__(self, source: CsvSource) -> None:
        """Check the beginning.

        Raises:
            SourceError: it is not text, or damaged.
        """
        self.name, self.version = source.name, source.version
        self._source = source
        head = next(source.pages(0), b"")
        self._is_gzip = head.startswith(GZIP)
        if self._is_gzip:
            head = next(self._unpacked(), b"")
        self._encoding = next((name for mark, name in MARKS if head.startswith(mark)), None)
        if self._encoding:
            head = next(self.pages(0), b"")
        kind = next((name for begin, name in KINDS if begin.match(head)), None)
        if kind:
            inside = "holds in its gzip data" if self._is_gzip else "is"
            raise SourceError(
                f"`{self.name}` {inside} {kind}, but a CSV is expected. Convert it to CSV in UTF-8,"
                " plain or packed with gzip, and give that file."
            )

    def pages(self, start: int) -> Iterator[bytes]:
        """The text from a position to the end, in pages.

        Raises:
            SourceError: it cannot be read, is damaged, or was changed since `version` was taken.
        """
        if not self._is_gzip and not self._encoding:
            yield from self._source.pages(start)
            return
        pages = self._unpacked() if self._is_gzip else self._source.pages(0)
        if self._encoding:
            texts = codecs.iterdecode(pages, self._encoding, errors="replace")
            pages = (text.encode() for text in texts)
        for page in pages:
            if start < len(page):
                yield page[start:]
            start = max(0, start - len(page))

    def _unpacked(self) -> Iterator[bytes]:
        packed = io.BufferedReader(_Stream(self._source.pages(0)))
        try:
            with gzip.GzipFile(fileobj=packed) as file:
                while page := file.read(TEXT_PAGE_BYTES):
                    yield page
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            what = "end too early" if isinstance(error, EOFError) else "are damaged"
            raise SourceError(
                f"The gzip data of `{self.name}` {what}. What was sent before is on the topic; get"
                " the file again, check it with `gzip -t`, and send all of it with `--from-start`"
                " (an id that is sent twice counts once)."
            ) from error


class _Stream(io.RawIOBase):
    """Pages as a file, for `gzip`."""

    def __init__(self, pages: Iterator[bytes]) -> None:
        self._pages, self._rest = pages, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._pages, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
