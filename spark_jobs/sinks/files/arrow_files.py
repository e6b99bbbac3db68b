"""Reads files on this machine and on S3 by Arrow, without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import pyarrow.dataset as ds
import pyarrow.fs
from pyspark.sql.types import StructType

from errors import SinkUnavailable
from runtime.s3_access import s3_access
from settings import Settings
from spark_jobs.session.file_system import StoredFile
from spark_jobs.sinks.files.formats import ARROW_FORMATS, arrow_schema

S3_SECONDS = 10


@dataclass(frozen=True)
class ArrowFiles:
    """Complete files, as readers see them, read by Arrow."""

    system: pyarrow.fs.FileSystem
    root: str

    def url(self, path: str) -> str:
        """The path in Arrow's form."""
        return f"{self.root}/{path}"

    def read(self, path: str) -> bytes | None:
        """A small file's content, None if there is no such file.

        Raises:
            SinkUnavailable: the store could not read it.
        """
        try:
            with self.system.open_input_stream(self.url(path), compression=None) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SinkUnavailable(
                f"Files: `{self.url(path)}` cannot be read ({type(error).__name__}). `make doctor`"
                " says what is wrong with OUTPUT_PATH."
            ) from error

    def files(self, folder: str) -> list[StoredFile]:
        """All files below a folder, by path; none if there is no folder."""
        top = self.url(folder)
        every = pyarrow.fs.FileSelector(top, recursive=True, allow_not_found=True)
        found = [
            StoredFile(info.path.removeprefix(f"{top}/"), info.size)
            for info in self.system.get_file_info(every)
            if info.is_file
        ]
        return sorted(found, key=lambda file: file.path)

    def rows(self, paths: list[str], form: str, schema: StructType) -> ds.Dataset:
        """Files of one format as a table with these columns, as `arrow_schema` types them."""
        places = [self.url(path) for path in paths]
        columns = arrow_schema(schema, form)
        return ds.dataset(places, columns, ARROW_FORMATS[form], filesystem=self.system)


def arrow_files(settings: Settings) -> ArrowFiles | None:
    """Files of OUTPUT_PATH by Arrow; None on HDFS, which Arrow cannot read by itself."""
    if settings.output_path.startswith("s3a:"):
        parts = urlsplit(settings.output_path)
        return ArrowFiles(_s3(settings), f"{parts.netloc}{parts.path}".rstrip("/"))
    if "://" in settings.output_path:
        return None
    return ArrowFiles(pyarrow.fs.LocalFileSystem(), settings.output_path)


def _s3(settings: Settings) -> pyarrow.fs.FileSystem:
    options = s3_access(settings, "access_key", "secret_key", "session_token", "region")
    if settings.s3_endpoint_url:
        scheme, _, place = settings.s3_endpoint_url.rstrip("/").partition("://")
        options |= {"scheme": scheme, "endpoint_override": place}
    return pyarrow.fs.S3FileSystem(
        connect_timeout=S3_SECONDS,
        request_timeout=S3_SECONDS,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=2),
        **options,
    )
