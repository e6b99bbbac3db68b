"""Addresses of stores: their rules, and the parts that may be shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

POSTGRES_PORT: Final = 5432
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Schemes of places that Spark reaches through Hadoop.
HADOOP_SCHEMES: Final = frozenset({"s3a", "hdfs"})


def mongo_uri(value: SecretStr) -> SecretStr:
    """The address as given, if the driver can read it.

    Raises:
        ValueError: it cannot; the text holds no part of the address.
    """
    if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("expected `mongodb://…` or `mongodb+srv://…`")
    try:
        mongo_nodes(value)
    except (InvalidURI, ConfigurationError, ValueError):
        # The driver's message may quote the address, including the password.
        raise ValueError(
            "not a readable address; expected `mongodb://host:port`, before the host"
            " `user:password@` with `@`, `:`, `/` in them as %40, %3A, %2F"
        ) from None
    except OSError as error:
        raise ValueError(
            f"a file of its options cannot be read ({error.strerror}): correct `tlsCAFile`"
        ) from None
    return value


def mongo_nodes(uri: SecretStr) -> list[tuple[str, int]]:
    """Hosts and ports of a `mongodb://` address; none for `mongodb+srv://`, as DNS has them."""
    text = uri.get_secret_value()
    return [] if text.startswith("mongodb+srv:") else parse_uri(text)["nodelist"]


def mongo_address(uri: SecretStr) -> str:
    """A MongoDB address without user, password and options, safe to show."""
    scheme, _, rest = uri.get_secret_value().partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}"


def postgres_dsn(value: SecretStr) -> SecretStr:
    """The address as given, if it names a host and a database.

    Raises:
        ValueError: it does not; the text holds no part of the address.
    """
    try:
        parts = urlsplit(value.get_secret_value())
        readable = parts.scheme in {"postgresql", "postgres"} and parts.hostname
        # Reading the port raises an error for a wrong one.
        readable = readable and parts.port != 0 and parts.path.strip("/")
    except ValueError:
        readable = None
    if not readable:
        raise ValueError(
            "not a readable address; expected `postgresql://user@host:5432/database`, with"
            " `@`, `:`, `/`, `#`, `?` in a password as %40, %3A, %2F, %23, %3F"
        )
    return value


def postgres_port(dsn: SecretStr) -> int:
    """The port in a PostgreSQL address."""
    return urlsplit(dsn.get_secret_value()).port or POSTGRES_PORT


def postgres_address(dsn: SecretStr) -> str:
    """A PostgreSQL address without user, password and options, safe to show."""
    parts = urlsplit(dsn.get_secret_value())
    return f"{parts.hostname}:{postgres_port(dsn)}{parts.path}"


def hadoop_place(value: str) -> str:
    """A folder as given, or an address on S3 or HDFS without a trailing slash.

    Raises:
        ValueError: it is an address of another kind.
    """
    if "://" not in value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in HADOOP_SCHEMES or not parts.netloc or "@" in parts.netloc:
        raise ValueError(
            "expected a folder, `s3a://bucket/folder` or `hdfs://host:port/folder`; keys go"
            " into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return value.rstrip("/")


def file_or_object(value: str) -> str:
    """A file's path or an object on S3, as given.

    Raises:
        ValueError: it is an address of another kind.
    """
    parts = urlsplit(value)
    if "://" in value and (parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/")):
        raise ValueError("expected a file or `s3://bucket/key`")
    return value
