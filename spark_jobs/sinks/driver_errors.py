"""Errors of drivers and of the file system in words for users, for the mains."""

from __future__ import annotations

from cassandra import AuthenticationFailed, DriverException, RequestValidationException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from confluent_kafka import KafkaError, KafkaException
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from errors import MillraceError, SinkError, SinkRejected, SinkUnavailable
from settings import Settings
from spark_jobs.session.file_errors import file_error

# Server error codes (MongoDB, error_codes.yml): a login is missing, lacks rights, or failed.
LOGIN_CODES = frozenset({13, 18, 8000})
CASSANDRA_ERRORS = (NoHostAvailable, DriverException, ConnectionException, AuthenticationFailed)


def explained(error: BaseException, settings: Settings | None) -> MillraceError | None:
    """The error for users that one of a driver or of the file system stands for; None for others.

    Of a driver's error only class and code are told: drivers quote values of records in their
    texts. Without settings no driver was at work.
    """
    if isinstance(error, OSError):
        return file_error(error)
    if settings is None:
        return None
    if isinstance(error, PyMongoError):
        return explained_mongodb(error, settings)
    if isinstance(error, CASSANDRA_ERRORS):
        return _explained_cassandra(error, settings)
    if isinstance(error, KafkaException):
        return SinkUnavailable(
            f"Kafka at `{settings.kafka_bootstrap_servers}` did not do what was asked"
            f" ({_kafka_kind(error)}). `make status` shows whether it is up,"
            " `make logs SERVICE=kafka` why not; the command can be run again."
        )
    return None


def _explained_cassandra(error: BaseException, settings: Settings) -> SinkError:
    kinds = {type(error).__name__}
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict):
        kinds |= {type(cause).__name__ for cause in error.errors.values()}
    place = f"`{settings.cassandra_contact_points}`, port {settings.cassandra_port},"
    told = f"({', '.join(sorted(kinds))})"
    if "AuthenticationFailed" in kinds:
        return SinkRejected(
            f"Cassandra at {place} refused the login {told}. Correct `CASSANDRA_USERNAME` and"
            " `CASSANDRA_PASSWORD`."
        )
    if isinstance(error, RequestValidationException):
        return SinkRejected(
            f"Cassandra at {place} refused what was asked {told}. Compare its tables with `cql/`"
            " (`make up` creates what is missing), and the user's rights."
        )
    return SinkUnavailable(
        f"Cassandra at {place} did not do what was asked {told}. `make status` shows whether it is"
        " up, `make logs SERVICE=cassandra` why not; the command can be run again."
    )


def _kafka_kind(error: KafkaException) -> str:
    fault = error.args[0] if error.args else None
    return str(fault.name()) if isinstance(fault, KafkaError) else type(error).__name__


def _way_to_mongodb(error: ConnectionFailure) -> str:
    # The driver's text is only looked at, never told.
    if "certificate verify failed" in str(error):
        return (
            "Its certificate is of no authority that this machine knows: set `tlsCAFile` in"
            " `MONGO_URI` to the PEM file of the right one."
        )
    return (
        "Start it with `make up` or correct `MONGO_URI` (`tls=true` where the server wants TLS);"
        " the command can be run again."
    )


def explained_mongodb(error: PyMongoError, settings: Settings) -> SinkError:
    """The error for users that one of pymongo stands for."""
    kind = type(error).__name__
    if isinstance(error, ConnectionFailure):
        return SinkUnavailable(
            f"Cannot reach MongoDB at `{settings.mongo_address}` ({kind}). {_way_to_mongodb(error)}"
        )
    if isinstance(error, OperationFailure):
        if error.code in LOGIN_CODES:
            return SinkRejected(
                f"MongoDB at `{settings.mongo_address}` wants a login that may read and write the"
                f" database `{settings.mongo_database}` (code {error.code}). Put one into"
                " `MONGO_URI`: `mongodb://user:password@host:27017/?authSource=admin`."
            )
        kind = f"{kind}, code {error.code}"
    return SinkRejected(
        f"MongoDB at `{settings.mongo_address}` refused what was asked ({kind})."
        " `make logs SERVICE=mongodb` may say why; correct `MONGO_URI` if it is another server"
        " that is meant."
    )
