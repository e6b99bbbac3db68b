"""Settings: read once, all faults reported at once, secrets masked.

Order of precedence: explicit overrides (command-line options), environment, `.env`, files of
secrets, defaults. Names are the upper-case forms of the fields of `Settings`; the
table in docs/settings.md lists them all.
"""

from __future__ import annotations

import os
import re
import ssl
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableSource
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

from errors import (
    SettingsError,
)

PROJECT_ROOT: Final = Path(__file__).resolve().parent
# Name -> the module that writes it, in the order in which a micro-batch goes to them. A further
# sink is a module and a line here (docs/adding-a-sink.md).
SINK_MODULES: Final = {
    "cassandra": "spark_jobs.sinks.cassandra",
    "files": "spark_jobs.sinks.files.sink",
    "postgres": "spark_jobs.sinks.postgres",
    "mongodb": "spark_jobs.sinks.mongodb",
}
# The sink whose store has the ledger too, whatever SINKS lists.
LEDGER_SINK: Final = "mongodb"
OUTPUT_FORMATS: Final = ("parquet", "json", "csv")
DEFAULT_SINKS: Final = ("cassandra", "mongodb", "files")
# Services of the embedded stack that `up` starts only where they are asked for.
EXTRA_SERVICES: Final = ("postgres", "hdfs")
POSTGRES_PORT: Final = 5432
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Names another file to be read in place of `.env`, as tests that start processes need it.
ENV_FILE_VARIABLE: Final = "MILLRACE_ENV_FILE"
# Names a folder of files, each with the value of the setting that it is named after, as Docker and
# Kubernetes hand secrets to a program.
SECRETS_VARIABLE: Final = "MILLRACE_SECRETS_DIR"
DEAD_LETTER_SUFFIX: Final = "-dead-letter"
# Kafka's own rule for topic names (org.apache.kafka.common.internals.Topic).
TOPIC_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,237}\Z")
HOST_PORT_PATTERN: Final = re.compile(r"[^\s:,/]+:\d{1,5}\Z")
MEMORY_PATTERN: Final = re.compile(r"[1-9]\d*[kmgKMG]\Z")
# What ends or changes a path on its way: Spark takes a comma for the end of a folder's name, Java a
# colon for the end of a class path's, and Hadoop replaces `${…}`.
COMMA: Final = (",", "holds a comma, at which Spark takes it apart")
COLON: Final = (":", "holds a colon, at which Java takes it apart")
VARIABLE: Final = ("${", "holds `${`, which Hadoop takes for a variable")
# Schemes of places that only Spark reaches, through Hadoop.
HADOOP_SCHEMES: Final = frozenset({"s3a", "hdfs"})

# What librdkafka says when waiting cannot help, and which settings to look at.
KAFKA_REFUSALS: Final = {
    "could not be verified": "Its certificate is of no authority that this machine knows: set"
    " KAFKA_SSL_CA_LOCATION to the PEM file of the right one.",
    "mechanism handshake failed": "Correct KAFKA_SASL_MECHANISM.",
    "unsupported sasl mechanism": "Correct KAFKA_SASL_MECHANISM.",
    "sasl authentication error": "Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.",
}


def keeps_ledger(sink: str) -> bool:
    """Whether a sink's store has the ledger too: `replay` then completes both."""
    return sink == LEDGER_SINK


class Settings(BaseSettings):
    """Everything that can be set, with defaults that suit the embedded stack on one machine."""

    model_config = SettingsConfigDict(
        env_file=None, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    stack: Literal["embedded", "docker", "external"] = Field(
        "embedded", description="where the services are: `embedded`, `docker` or `external`"
    )
    services: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="more embedded services to start, such as `+postgres,+hdfs`"
    )
    millrace_home: Path = Field(
        Path(".millrace"), description="folder of all state: jars, data, logs, checkpoints, key"
    )
    jars_path: Path | None = Field(
        None, description="folder of the fetched jars; `jars` of `MILLRACE_HOME` when absent"
    )

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092", description="broker addresses, `host:port`, separated by commas"
    )
    kafka_controller_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="second port of the embedded Kafka; port of the brokers + 10000 when absent",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; for `SASL_…` protocols"
    )
    kafka_sasl_username: str | None = Field(None, description="user name; for `SASL_…` protocols")
    kafka_sasl_password: SecretStr | None = Field(
        None, description="password (secret); for `SASL_…` protocols"
    )
    kafka_ssl_ca_location: Path | None = Field(
        None, description="PEM file of the certificate authority, if the system does not know it"
    )
    kafka_connect_timeout_seconds: float = Field(
        30, gt=0, le=3600, description="how long a producer or a job waits for the broker"
    )

    cassandra_contact_points: str = Field(
        "127.0.0.1", description="host names or addresses, separated by commas"
    )
    cassandra_port: int = Field(9042, ge=1, le=65535, description="port of the CQL protocol")
    cassandra_storage_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="second port of the embedded Cassandra; `CASSANDRA_PORT` + 10000 when absent",
    )
    cassandra_local_datacenter: str = Field(
        "datacenter1", description="data centre that clients prefer"
    )
    cassandra_username: str | None = Field(None, description="user name, where it is wanted")
    cassandra_password: SecretStr | None = Field(
        None, description="password (secret), where it is wanted"
    )
    cassandra_ssl: bool = Field(False, description="`true` where Cassandra wants TLS")
    cassandra_ssl_ca_location: Path | None = Field(
        None, description="PEM file of the authority that signed its certificates; for TLS"
    )
    cassandra_replication_factor: int = Field(
        1,
        ge=1,
        le=100,
        description="copies of each row in the local data centre, for keyspaces that Millrace"
        " makes",
    )
    cassandra_consistency: Literal["LOCAL_ONE", "LOCAL_QUORUM", "QUORUM", "ALL"] = Field(
        "LOCAL_QUORUM",
        description="copies that confirm a write and answer a read: `LOCAL_QUORUM`, `QUORUM`,"
        " `ALL`, or `LOCAL_ONE` where there is one copy",
    )
    cassandra_writer: Literal["connector", "direct"] = Field(
        "connector",
        description="`connector` (the spark-cassandra-connector's), or `direct`: Millrace's own,"
        " which takes less of the processors",
    )

    mongo_uri: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27017"),
        description="address of MongoDB (secret: it may hold a password)",
    )
    mongo_database: str = Field(
        "millrace", min_length=1, max_length=63, description="database of aggregates and ledger"
    )

    postgres_dsn: SecretStr = Field(
        SecretStr("postgresql://millrace@127.0.0.1:5432/millrace"),
        description="address of PostgreSQL or Supabase (secret: it may hold a password)",
    )

    spark_master: str = Field("local[*]", description="where Spark runs")
    spark_driver_memory: str = Field("1g", description="heap of the driver, such as `1g`")
    spark_executor_memory: str | None = Field(
        None, description="heap of each executor; Spark's own default when absent"
    )
    spark_executor_cores: int | None = Field(
        None, ge=1, description="cores of each executor; Spark's own default when absent"
    )

    tickets_topic: str = Field("client_tickets", description="topic of the tickets")
    profiles_topic: str = Field("users_profiles", description="topic of the profiles")
    customers_topic: str = Field("customers-raw", description="topic of the customers' rows")
    customers_usa_topic: str = Field(
        "customers-usa", description="topic that receives the valid customers of the USA"
    )
    customers_alerts_topic: str = Field(
        "customers-alerts", description="topic that receives the incomplete customers"
    )
    topic_partitions: int = Field(
        3, ge=1, le=1000, description="partitions of topics that Millrace makes"
    )
    topic_replication_factor: int = Field(
        1,
        ge=1,
        le=100,
        description="copies of each partition of topics that Millrace makes; above 1 two of them"
        " must confirm a message (`min.insync.replicas`)",
    )

    tickets_count: int = Field(
        100, ge=0, description="tickets that the producer sends; 0 = without end"
    )
    tickets_rate: float = Field(
        10, ge=0, allow_inf_nan=False, description="tickets per second; 0 = unlimited"
    )
    profiles_count: int = Field(
        100, ge=0, description="profiles that the producer sends; 0 = without end"
    )
    profiles_per_request: int = Field(
        500, ge=1, le=5000, description="profiles asked for in one request"
    )
    profiles_pause_seconds: float = Field(
        1, ge=0, description="pause between two requests to the API"
    )
    profiles_source: Literal["auto", "api", "offline"] = Field(
        "auto", description="`api`, `offline`, or `auto`: the API, else offline"
    )
    customers_source: str | None = Field(
        None, description="CSV of customers: a file or `s3://bucket/key`; a made-up one when absent"
    )
    customers_rate: float = Field(
        0, ge=0, allow_inf_nan=False, description="customers per second; 0 = unlimited"
    )

    pii_hash_key: SecretStr | None = Field(
        None,
        description="key of the digests (secret); the embedded stack makes one when it is absent",
    )
    pii_hash_mode: Literal["hmac-sha256", "sha256"] = Field(
        "hmac-sha256", description="`hmac-sha256`, or `sha256` for data hashed that way before"
    )

    sinks: Annotated[tuple[str, ...], NoDecode] = Field(
        DEFAULT_SINKS, description="stores that receive records, separated by commas"
    )
    output_format: Annotated[tuple[str, ...], NoDecode] = Field(
        ("parquet",), description="formats of files: `parquet`, `json`, `csv`, several with commas"
    )
    output_path: str = Field(
        "./output", description="where files go: a folder, `s3a://bucket/…` or `hdfs://host:port/…`"
    )
    checkpoint_path: str = Field(
        "checkpoints",
        min_length=1,
        description="where checkpoints are: a folder, by itself below `MILLRACE_HOME`,"
        " `s3a://bucket/…` or `hdfs://host:port/…`",
    )
    aws_access_key_id: str | None = Field(None, description="access key, for `s3a://` and `s3://`")
    aws_secret_access_key: SecretStr | None = Field(
        None, description="its secret part (secret); both absent: the usual places of AWS"
    )
    aws_region: str | None = Field(None, description="region of the buckets, such as `eu-west-3`")
    s3_endpoint_url: str | None = Field(
        None, description="address of a store that speaks S3, where it is not AWS"
    )
    hdfs_port: int = Field(
        8020, ge=1, le=65535, description="port of the embedded NameNode (`SERVICES=+hdfs`)"
    )
    hdfs_datanode_port: int = Field(
        9866, ge=1, le=65535, description="port of the embedded DataNode"
    )
    hadoop_conf_dir: Path | None = Field(
        None, description="folder of `core-site.xml` and `hdfs-site.xml`, for `hdfs://`"
    )
    hadoop_user_name: str | None = Field(None, description="user who writes to `hdfs://`")
    deduplication_days: int = Field(
        7, ge=1, le=3650, description="days for which an id that comes again is a duplicate"
    )
    trigger_interval_seconds: float = Field(
        0.5, ge=0, le=86400, description="least time from one micro-batch to the next"
    )
    max_records_per_batch: int = Field(
        200_000, ge=1, description="records of one micro-batch at most"
    )
    store_retry_seconds: float = Field(
        120, ge=0, le=86400, description="how long a job tries again when a service is away"
    )
    stop_timeout_seconds: float = Field(
        30, ge=0, le=3600, description="how long a stop waits for the micro-batch in work"
    )
    max_redrives: int = Field(
        3, ge=0, le=1000, description="returns of a dead letter to its topic before it is parked"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over `.env` over files of secrets over defaults."""
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @field_validator("millrace_home", "jars_path")
    @classmethod
    def _below_the_project(cls, value: Path | None) -> Path | None:
        return None if value is None else (PROJECT_ROOT / value.expanduser()).resolve()

    @field_validator("millrace_home", "jars_path", "output_path", "checkpoint_path")
    @classmethod
    def _usable_characters(cls, value: Any, info: ValidationInfo) -> Any:
        if fault := _unusable_character(str(value), PATH_SIGNS[str(info.field_name)]):
            raise ValueError(f"{str(value)!r} {fault}; expected a path without")
        return value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _host_port_list(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",")]
        if not all(HOST_PORT_PATTERN.match(server) for server in servers):
            raise ValueError("expected `host:port`, several separated by commas")
        return ",".join(servers)

    @field_validator(
        "tickets_topic",
        "profiles_topic",
        "customers_topic",
        "customers_usa_topic",
        "customers_alerts_topic",
    )
    @classmethod
    def _topic_name(cls, value: str) -> str:
        if not TOPIC_PATTERN.match(value) or value in {".", ".."}:
            raise ValueError("expected 1 to 237 of letters, digits, `.`, `_`, `-`")
        return value

    @field_validator("customers_source")
    @classmethod
    def _file_or_object(cls, value: str | None) -> str | None:
        if value is None or "://" not in value:
            return value
        parts = urlsplit(value)
        if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
            raise ValueError("expected a file or `s3://bucket/key`")
        return value

    @field_validator("spark_driver_memory", "spark_executor_memory")
    @classmethod
    def _memory(cls, value: str | None) -> str | None:
        if value is not None and not MEMORY_PATTERN.match(value):
            raise ValueError("expected a number and a unit, such as `1g` or `1536m`")
        return value

    @field_validator("mongo_uri")
    @classmethod
    def _mongo_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("expected `mongodb://…` or `mongodb+srv://…`")
        if value.get_secret_value().startswith("mongodb://"):
            try:
                parse_uri(value.get_secret_value())
            except (InvalidURI, ConfigurationError, ValueError):
                # The driver's own text may quote the address, password included.
                raise ValueError(
                    "not a readable address; expected `mongodb://host:port`, before the host"
                    " `user:password@` with `@`, `:`, `/` in them as %40, %3A, %2F"
                ) from None
            except OSError as error:
                raise ValueError(
                    f"a file of its options cannot be read ({error.strerror}): correct `tlsCAFile`"
                ) from None
        return value

    @field_validator("postgres_dsn")
    @classmethod
    def _postgres_scheme(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            readable = parts.scheme in {"postgresql", "postgres"} and parts.hostname
            # Reading the port is what finds a wrong one.
            readable = readable and parts.port != 0 and parts.path.strip("/")
        except ValueError:
            readable = None
        if not readable:
            raise ValueError(
                "not a readable address; expected `postgresql://user@host:5432/database`, with"
                " `@`, `:`, `/`, `#`, `?` of a password as %40, %3A, %2F, %23, %3F"
            )
        return value

    @field_validator("mongo_database")
    @classmethod
    def _database_name(cls, value: str) -> str:
        if set(value) & set('/\\. "$*<>:|?'):
            raise ValueError('expected a name without blanks and any of `/\\."$*<>:|?`')
        return value

    @field_validator("sinks", mode="before")
    @classmethod
    def _sink_list(cls, value: Any) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else list(value)
        names = tuple(dict.fromkeys(part.strip().lower() for part in parts if part.strip()))
        unknown = [name for name in names if name not in SINK_MODULES]
        if unknown or not names:
            wrong = ", ".join(f"`{name}`" for name in unknown) or "nothing"
            raise ValueError(f"{wrong} is not a sink; valid: {', '.join(SINK_MODULES)}")
        return names

    @field_validator("output_format", mode="before")
    @classmethod
    def _format_list(cls, value: Any) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else list(value)
        names = tuple(dict.fromkeys(part.strip().lower() for part in parts if part.strip()))
        if not names or not set(names) <= {*OUTPUT_FORMATS}:
            raise ValueError(f"expected one or several of {', '.join(OUTPUT_FORMATS)}")
        return names

    @field_validator("cassandra_consistency", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("output_path")
    @classmethod
    def _output_folder(cls, value: str) -> str:
        if "://" in value:
            return value
        return str((PROJECT_ROOT / Path(value).expanduser()).resolve())

    @field_validator("output_path", "checkpoint_path")
    @classmethod
    def _place(cls, value: str) -> str:
        if "://" not in value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in HADOOP_SCHEMES or not parts.netloc or "@" in parts.netloc:
            raise ValueError(
                "expected a folder, `s3a://bucket/folder` or `hdfs://host:port/folder`; keys go"
                " into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        return value.rstrip("/")

    @field_validator("s3_endpoint_url")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("expected `http://host:port` or `https://host`")
        return value

    @field_validator("services", mode="before")
    @classmethod
    def _service_list(cls, value: Any) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else list(value)
        stripped = [part.strip().lower().removeprefix("+") for part in parts]
        names = tuple(dict.fromkeys(name for name in stripped if name))
        if unknown := [name for name in names if name not in EXTRA_SERVICES]:
            valid = ", ".join(f"+{name}" for name in EXTRA_SERVICES)
            raise ValueError(f"`{', '.join(unknown)}` is no extra service; valid: {valid}")
        return names

    @property
    def files_at(self) -> str | None:
        """Where files go; None without the sink of files."""
        return self.output_path if "files" in self.sinks else None

    def starts(self, service: str) -> bool:
        """Whether the embedded stack starts this extra service: asked for, or a sink's store."""
        return service in self.services or service in self.sinks

    def ports_here(self) -> dict[str, int]:
        """The ports that settings name for servers of this machine, by setting."""
        ports: dict[str, int] = {"CASSANDRA_PORT": self.cassandra_port}
        kafka = self.kafka_bootstrap_servers.split(",")
        if len(kafka) == 1:
            ports["KAFKA_BOOTSTRAP_SERVERS"] = int(kafka[0].rpartition(":")[2])
        uri = self.mongo_uri.get_secret_value()
        nodes = [] if uri.startswith("mongodb+srv:") else parse_uri(uri)["nodelist"]
        if len(nodes) == 1:
            ports["MONGO_URI"] = int(nodes[0][1])
        if self.starts("postgres"):
            parts = urlsplit(self.postgres_dsn.get_secret_value())
            ports["POSTGRES_DSN"] = parts.port or POSTGRES_PORT
        if self.starts("hdfs"):
            ports |= {"HDFS_PORT": self.hdfs_port, "HDFS_DATANODE_PORT": self.hdfs_datanode_port}
        if self.kafka_controller_port:
            ports["KAFKA_CONTROLLER_PORT"] = self.kafka_controller_port
        if self.cassandra_storage_port:
            ports["CASSANDRA_STORAGE_PORT"] = self.cassandra_storage_port
        return ports

    @property
    def customers_output_topics(self) -> tuple[str, str]:
        """The topics to which customers are split: those of the USA, and alerts."""
        return self.customers_usa_topic, self.customers_alerts_topic

    @property
    def checkpoints(self) -> str:
        """The folder or address below which each pipeline has its checkpoint."""
        if "://" in self.checkpoint_path:
            return self.checkpoint_path
        return str(self.millrace_home / Path(self.checkpoint_path).expanduser())

    @property
    def jars(self) -> Path:
        """The folder of the fetched jars, with a folder for each group."""
        return self.jars_path or self.millrace_home / "jars"

    @property
    def postgres_address(self) -> str:
        """`POSTGRES_DSN` without user, password and options, fit to be shown."""
        parts = urlsplit(self.postgres_dsn.get_secret_value())
        return f"{parts.hostname}:{parts.port or POSTGRES_PORT}{parts.path}"

    @property
    def mongo_address(self) -> str:
        """`MONGO_URI` without user and password, fit to be shown."""
        scheme, _, rest = self.mongo_uri.get_secret_value().partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}"

    def kafka_client_options(self) -> dict[str, str]:
        """Connection options under librdkafka's names (confluent-kafka)."""
        options = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol.lower(),
        }
        if self.kafka_sasl_mechanism:
            options["sasl.mechanism"] = self.kafka_sasl_mechanism
        if self.kafka_sasl_username:
            options["sasl.username"] = self.kafka_sasl_username
        if self.kafka_sasl_password:
            options["sasl.password"] = self.kafka_sasl_password.get_secret_value()
        if self.kafka_ssl_ca_location:
            options["ssl.ca.location"] = str(self.kafka_ssl_ca_location)
        return options


# What a path must not hold, by the setting.
PATH_SIGNS: Final = {
    "millrace_home": (COMMA, COLON, VARIABLE),
    "jars_path": (COLON,),
    "output_path": (VARIABLE,),
    "checkpoint_path": (VARIABLE,),
}


def _unusable_character(path: str, signs: Iterable[tuple[str, str]]) -> str | None:
    """What of a path cannot be handed on, in words; None where all can."""
    for character in path:
        if unicodedata.category(character) == "Cc":
            return f"holds a control character (U+{ord(character):04X})"
        if unicodedata.category(character) == "Cs":
            return "holds bytes that are not UTF-8"
    return next((name for sign, name in signs if sign in path), None)


def kafka_advice(report: str) -> str | None:
    """Which settings a refusal by the broker is about, from the client library's own report.

    None where the report tells of no refusal: waiting may help.
    """
    for sign, advice in KAFKA_REFUSALS.items():
        if sign in report.lower():
            return advice
    return None


def dead_letter_topic(topic: str) -> str:
    """Name of the topic that keeps what `topic` held and no sink could take."""
    return topic + DEAD_LETTER_SUFFIX


def load_settings(
    overrides: Mapping[str, Any] | None = None, env_file: Path | None = None
) -> Settings:
    """Read the settings, command-line overrides (field names; None is ignored) over all.

    Raises:
        SettingsError: one text that names every fault: the variable, what is wrong, what to do.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    chosen = env_file or os.environ.get(ENV_FILE_VARIABLE) or PROJECT_ROOT / ".env"
    sources: dict[str, Any] = {"_env_file": chosen, "_secrets_dir": _secrets_folder()}
    try:
        settings = Settings(**sources, **given)
    except ValidationError as error:
        faults = [_fault(each) for each in error.errors()]
        raise SettingsError(_all_faults(faults + _others(error, sources, given))) from None
    except UnreadableSource as error:
        raise SettingsError(
            f"{SECRETS_VARIABLE}: {error}: {type(error.__cause__).__name__}. The files have to be"
            " plain files in that folder which this user may read."
        ) from None
    if faults := _faults_between(settings):
        raise SettingsError(_all_faults(faults))
    return settings


def _secrets_folder() -> Path | None:
    named = os.environ.get(SECRETS_VARIABLE)
    if not named:
        return None
    folder = (PROJECT_ROOT / Path(named).expanduser()).resolve()
    if not folder.is_dir():
        raise SettingsError(
            f"{SECRETS_VARIABLE}: there is no folder `{folder}`. Name one whose files have names"
            " and values of settings, such as `pii_hash_key`, or remove the variable."
        )
    return folder


def _others(
    error: ValidationError, sources: Mapping[str, Any], given: Mapping[str, Any]
) -> list[str]:
    """Faults between the settings that have none by themselves; defaults stand for the others."""
    named = {str(each["loc"][0]).lower() for each in error.errors() if each["loc"]}
    faulty = named & {*Settings.model_fields}
    defaults = {name: Settings.model_fields[name].get_default() for name in faulty}
    try:
        rest = Settings(**sources, **{**given, **defaults})
    except ValidationError:
        return []
    names = [name.upper() for name in faulty]
    return [each for each in _faults_between(rest) if not any(name in each for name in names)]


def _fault(error: Any) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}"


def _faults_between(settings: Settings) -> list[str]:
    """Faults that show only when several settings are seen together."""
    faults = []
    if settings.kafka_security_protocol.startswith("SASL"):
        faults += [
            f"{name.upper()}: missing, though KAFKA_SECURITY_PROTOCOL is"
            f" {settings.kafka_security_protocol}"
            for name in ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
            if getattr(settings, name) is None
        ]
    if (settings.cassandra_username is None) != (settings.cassandra_password is None):
        faults.append("CASSANDRA_USERNAME, CASSANDRA_PASSWORD: one is set without the other")
    if settings.cassandra_ssl and settings.cassandra_ssl_ca_location is None:
        # The connector compares no host names: with the system's authorities anyone would pass.
        faults.append("CASSANDRA_SSL_CA_LOCATION: missing, though CASSANDRA_SSL is `true`")
    if settings.cassandra_consistency == "LOCAL_ONE" and settings.cassandra_replication_factor > 1:
        faults.append(
            "CASSANDRA_CONSISTENCY: LOCAL_ONE with CASSANDRA_REPLICATION_FACTOR"
            f" {settings.cassandra_replication_factor} would let a read miss what was written;"
            " expected LOCAL_QUORUM, QUORUM or ALL"
        )
    if settings.starts("hdfs") and "'" in str(settings.millrace_home):
        # Its NameNode asks `df` by a shell, with the path between such signs.
        faults.append(
            f"MILLRACE_HOME: `{settings.millrace_home}` holds `'`, with which HDFS (SERVICES=+hdfs)"
            " does not start"
        )
    faults += _unreadable_authorities(settings)
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        faults.append("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: one is set without the other")
    return faults + _shared_ports(settings) + _shared_topics(settings)


def _unreadable_authorities(settings: Settings) -> list[str]:
    """A fault for each PEM file that is named and holds no certificate."""
    faults = []
    for field in ("kafka_ssl_ca_location", "cassandra_ssl_ca_location"):
        path = getattr(settings, field)
        if path is None or not _uses_tls(settings, field):
            continue
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            faults.append(f"{field.upper()}: `{path}` cannot be used ({why}); expected a PEM file")
    return faults


def _uses_tls(settings: Settings, field: str) -> bool:
    if field.startswith("kafka"):
        return settings.kafka_security_protocol.endswith("SSL")
    return settings.cassandra_ssl


def _shared_ports(settings: Settings) -> list[str]:
    """A fault for each port that several servers of this machine would have."""
    if settings.stack == "external":
        return []
    by_port: dict[int, list[str]] = {}
    for name, port in settings.ports_here().items():
        by_port.setdefault(port, []).append(name)
    return [
        f"{', '.join(sorted(names))}: port {port} for {'both' if len(names) == 2 else 'all'};"
        " expected a port for each"
        for port, names in by_port.items()
        if len(names) > 1
    ]


def _shared_topics(settings: Settings) -> list[str]:
    """A fault for each name that several topics have."""
    by_name: dict[str, list[str]] = {}
    for field in Settings.model_fields:
        if field.endswith("_topic"):
            by_name.setdefault(getattr(settings, field), []).append(field.upper())
    return [
        f"{', '.join(fields)}: the same topic for {'both' if len(fields) == 2 else 'all'}"
        for fields in by_name.values()
        if len(fields) > 1
    ]


def _all_faults(faults: list[str]) -> str:
    lines = "\n".join(f"  - {fault}" for fault in faults)
    return (
        f"{len(faults)} setting(s) cannot be used:\n{lines}\n"
        "Correct them in the environment, in `.env` or on the command line;"
        " docs/settings.md lists what each one takes."
    )
