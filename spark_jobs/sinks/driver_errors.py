"""Turns errors of drivers and of the file system into messages for users."""

from __future__ import annotations

from pathlib import Path
from subprocess import TimeoutExpired

from cassandra import AuthenticationFailed, DriverException, RequestValidationException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from confluent_kafka import KafkaError, KafkaException
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from errors import MillraceError, SinkError, SinkRejected, SinkUnavailable, StackError
from settings import Settings
from spark_jobs.session.file_errors import file_error
from spark_jobs.state.store_errors import public_name

# Server error codes (MongoDB, error_codes.yml): the login is missing, lacks rights, or failed.
LOGIN_CODES = frozenset({13, 18, 8000})
CASSANDRA_ERRORS = (NoHostAvailable, DriverException, ConnectionException, AuthenticationFailed)


def explained(error: BaseException, settings: Settings | None) -> MillraceError | None:
    """The user's version of a driver's or the file system's error; None for other errors.

    Of a driver's error it names only class and code, because drivers quote records' values in
    their messages. Without settings no driver was in use.
    """
    if isinstance(error, OSError):
        return file_error(error)
    if isinstance(error, TimeoutExpired):
        return _explained_timeout(error)
    if settings is None:
        return None
    if isinstance(error, PyMongoError):
        return explained_mongodb(error, settings)
    if isinstance(error, CASSANDRA_ERRORS):
        return _explained_cassandra(error, settings)
    if isinstance(error, KafkaException):
        return SinkUnavailable(
            f"A request to Kafka at `{settings.kafka_bootstrap_servers}` failed"
            f" ({_kafka_kind(error)}). `make status` shows whether it is up,"
            " `make logs SERVICE=kafka` why not; then run the command again."
        )
    return None


def _explained_timeout(error: TimeoutExpired) -> StackError:
    words = [str(word) for word in error.cmd]
    program = " ".join([Path(words[0]).name, *words[1:4]])
    return StackError(
        f"`{program}` took longer than {error.timeout:.0f} s and was ended. See whether this"
        " machine's disk and network are slow or busy (`make doctor`); then run the command again."
    )


def _explained_cassandra(error: BaseException, settings: Settings) -> SinkError:
    kinds = {type(error).__name__}
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict):
        kinds |= {type(cause).__name__ for cause in error.errors.values()}
    place = f"`{settings.cassandra_contact_points}`, port {settings.cassandra_port},"
    causes = f"({', '.join(sorted(kinds))})"
    if "AuthenticationFailed" in kinds:
        return SinkRejected(
            f"Cassandra at {place} refused the login {causes}. Correct `CASSANDRA_USERNAME` and"
            " `CASSANDRA_PASSWORD`."
        )
    if isinstance(error, RequestValidationException):
        return SinkRejected(
            f"Cassandra at {place} refused the request {causes}. Compare its tables with `cql/`"
            " (`make up` creates missing ones), and check the user's rights."
        )
    return SinkUnavailable(
        f"A request to Cassandra at {place} failed {causes}. `make status` shows whether it is up,"
        " `make logs SERVICE=cassandra` why not; then run the command again."
    )


def _kafka_kind(error: KafkaException) -> str:
    cause = error.args[0] if error.args else None
    return str(cause.name()) if isinstance(cause, KafkaError) else type(error).__name__


def _way_to_mongodb(error: ConnectionFailure) -> str:
    # The driver's message is only searched, never shown.
    if "certificate verify failed" in str(error):
        return (
            "This machine does not know the authority that issued its certificate: set `tlsCAFile`"
            " in `MONGO_URI` to that authority's PEM file."
        )
    return (
        "Start it with `make up` or correct `MONGO_URI` (`tls=true` if the server requires TLS);"
        " then run the command again."
    )


def explained_mongodb(error: PyMongoError, settings: Settings) -> SinkError:
    """The user's version of a pymongo error."""
    kind = public_name(error)
    if isinstance(error, ConnectionFailure):
        return SinkUnavailable(
            f"Cannot reach MongoDB at `{settings.mongo_address}` ({kind}). {_way_to_mongodb(error)}"
        )
    if isinstance(error, OperationFailure):
        if error.code in LOGIN_CODES:
            return SinkRejected(
                f"MongoDB at `{settings.mongo_address}` needs a login that may read and write the"
                f" database `{settings.mongo_database}` (code {error.code}). Put one into"
                " `MONGO_URI`: `mongodb://user:password@host:27017/?authSource=admin`."
            )
        kind = f"{kind}, code {error.code}"
    return SinkRejected(
        f"MongoDB at `{settings.mongo_address}` refused the request ({kind})."
        " `make logs SERVICE=mongodb` may say why; correct `MONGO_URI` if you meant another"
        " server."
    )
