"""Addresses of stores: their rules, and the parts that may be shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

POSTGRES_PORT: Final = 5432
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
# Schemes of places that Spark reaches through Hadoop.
HADOOP_SCHEMES: Final = frozenset({"s3a", "hdfs"})


def mongo_uri(value: SecretStr) -> SecretStr:
    """The address as given, if the driver can read it.

    Raises:
        ValueError: it cannot; the text holds no part of the address.
    """
    text = value.get_secret_value()
    if not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("expected `mongodb://…` or `mongodb+srv://…`")
    scheme, _, rest = text.partition("://")
    is_srv = scheme == "mongodb+srv"
    place, _, options = rest.partition("?")
    hosts, _, database = place.partition("/")
    # The driver would take a password with a slash for a database, and its user for the host.
    readable = "@" not in database
    if is_srv:
        # DNS, which is not asked here, has the nodes; no other address may have options for it.
        readable = readable and not {*hosts.rpartition("@")[2]} & {*":,"}
        options = "&".join(o for o in options.split("&") if not o.lower().startswith("srv"))
    try:
        parse_uri(f"mongodb://{place}?{options}")
    except (InvalidURI, ConfigurationError, ValueError):
        # The driver's message may quote the address, including the password.
        readable = False
    except OSError as error:
        raise ValueError(
            f"a file of its options cannot be read ({error.strerror}): correct `tlsCAFile`"
        ) from None
    if not readable:
        place = f"{scheme}://host" if is_srv else f"{scheme}://host:port"
        raise ValueError(
            f"not a readable address; expected `{place}`, before the host"
            " `user:password@` with `@`, `:`, `/` in them as %40, %3A, %2F"
        )
    return value


def mongo_nodes(uri: SecretStr) -> list[tuple[str, int]]:
    """Hosts and ports of a `mongodb://` address; none for `mongodb+srv://`, as DNS has them."""
    text = uri.get_secret_value()
    return [] if text.startswith("mongodb+srv:") else parse_uri(text)["nodelist"]


def mongo_address(uri: SecretStr) -> str:
    """A MongoDB address without user, password and options, safe to show."""
    scheme, _, rest = uri.get_secret_value().partition("://")
    hosts = re.split("[/?]", rest, maxsplit=1)[0]
    return f"{scheme}://{hosts.rpartition('@')[2]}"


def postgres_dsn(value: SecretStr) -> SecretStr:
    """The address as given, if it names a host and a database.

    Raises:
        ValueError: it does not; the text holds no part of the address.
    """
    try:
        text = value.get_secret_value()
        parts = urlsplit(text)
        # libpq does not take capitals.
        is_named = text.startswith(("postgresql://", "postgres://")) and parts.hostname
        # Reading the port raises an error for a wrong one. `@` in the path ends a password with a
        # slash, of which the user would be taken for the host.
        is_named = is_named and parts.port != 0 and parts.path.strip("/")
        readable = is_named and "@" not in parts.path
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
    """A folder as given, or an address on S3 or HDFS: scheme in lower case, no slash at the end.

    Raises:
        ValueError: it is an address of another kind.
    """
    if not _is_address(value):
        return value
    parts = urlsplit(value)
    if parts.scheme not in HADOOP_SCHEMES or not parts.netloc or "@" in parts.netloc:
        raise ValueError(
            "expected a folder, `s3a://bucket/folder` or `hdfs://host:port/folder`; keys go"
            " into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return _with_small_scheme(value).rstrip("/")


def file_or_object(value: str) -> str:
    """A file's path as given, or an object on S3, its scheme in lower case.

    Raises:
        ValueError: it is an address of another kind.
    """
    if not _is_address(value):
        return value
    parts = urlsplit(value)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise ValueError("expected a file or `s3://bucket/key`")
    return _with_small_scheme(value)


def _is_address(value: str) -> bool:
    """Whether a place has a scheme, also one with a single slash behind it, which none may have."""
    return "://" in value or SCHEME.match(value) is not None


def _with_small_scheme(address: str) -> str:
    scheme, colon, rest = address.partition(":")
    return f"{scheme.lower()}{colon}{rest}"
