"""Settings: their names, types and defaults, and conflicts between them.

Precedence: command-line options, environment, `.env`, secret files, defaults. Names are the
upper-case forms of the fields of `Settings`; the table in docs/settings.md lists them all.
runtime/config/types.py has the rules for values of each type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import Field, SecretStr, create_model

import runtime.config.types as kinds
from runtime.config.addresses import mongo_address, mongo_nodes, postgres_address, postgres_port
from runtime.config.conflicts import shared_ports, shared_topics, unreadable_authority
from runtime.config.env_file import ENV_FILE_VARIABLE
from runtime.config.pipeline_folders import pipeline_folders
from runtime.config.pipeline_settings import BuiltInPipelines, PipelinesPlace
from runtime.config.reader import SECRETS_VARIABLE, read_leniently, read_settings
from runtime.config.sink_modules import has_files
from runtime.config.types import EXTRA_SERVICES, OUTPUT_FORMATS, PROJECT_ROOT

# What other modules import from here; some of it is defined next to the rules that need it.
__all__ = [
    "ENV_FILE_VARIABLE",
    "EXTRA_SERVICES",
    "OUTPUT_FORMATS",
    "PROJECT_ROOT",
    "SECRETS_VARIABLE",
    "SECRET_VARIABLES",
    "Settings",
    "load_settings",
]

DEFAULT_SINKS: Final = ("cassandra", "mongodb", "files")


class Settings(BuiltInPipelines):
    """All settings, with defaults for the embedded stack on one machine."""

    stack: Literal["embedded", "docker", "external"] = Field(
        "embedded", description="where the services are: `embedded`, `docker` or `external`"
    )
    services: kinds.Services = Field(
        (), description="more embedded services to start, such as `+postgres,+hdfs`"
    )
    millrace_home: kinds.HomeFolder = Field(
        Path(".millrace"), description="folder of all state: jars, data, logs, checkpoints, key"
    )
    jars_path: kinds.JarsFolder | None = Field(
        None, description="folder of the downloaded jars; `jars` in `MILLRACE_HOME` when absent"
    )

    kafka_bootstrap_servers: kinds.HostPorts = Field(
        "127.0.0.1:9092", description="broker addresses, `host:port`, separated by commas"
    )
    kafka_controller_port: kinds.Port | None = Field(
        None,
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
    kafka_ssl_ca_location: kinds.FromProject | None = Field(
        None, description="PEM file of the certificate authority, if the system does not know it"
    )
    kafka_connect_timeout_seconds: float = Field(
        30,
        gt=0,
        le=3600,
        description="how long a producer or a job waits for the broker at its start",
    )

    cassandra_contact_points: str = Field(
        "127.0.0.1", description="host names or addresses, separated by commas"
    )
    cassandra_port: kinds.Port = Field(9042, description="port of the CQL protocol")
    cassandra_storage_port: kinds.Port | None = Field(
        None,
        description="second port of the embedded Cassandra; `CASSANDRA_PORT` + 10000 when absent",
    )
    cassandra_local_datacenter: str = Field(
        "datacenter1", description="data centre that clients prefer"
    )
    cassandra_username: str | None = Field(None, description="user name, if required")
    cassandra_password: SecretStr | None = Field(None, description="password (secret), if required")
    cassandra_ssl: bool = Field(False, description="`true` if Cassandra requires TLS")
    cassandra_ssl_ca_location: kinds.FromProject | None = Field(
        None, description="PEM file of the authority that signed its certificates; for TLS"
    )
    cassandra_replication_factor: kinds.Copies = Field(
        1,
        description="copies of each row in the local data centre, for keyspaces that Millrace"
        " makes",
    )
    cassandra_consistency: kinds.Consistency = Field(
        "LOCAL_QUORUM",
        description="copies that confirm a write and answer a read: `LOCAL_QUORUM`, `QUORUM`,"
        " `ALL`, or `LOCAL_ONE` where there is one copy",
    )
    cassandra_writer: Literal["connector", "direct"] = Field(
        "connector",
        description="`connector` (the spark-cassandra-connector's), or `direct`: Millrace's own,"
        " which takes less of the processors and writes batches of up to 20,000 messages in any"
        " case",
    )

    mongo_uri: kinds.MongoAddress = Field(
        SecretStr("mongodb://127.0.0.1:27017"),
        description="address of MongoDB (secret: it may hold a password)",
    )
    mongo_database: kinds.DatabaseName = Field(
        "millrace", description="database of aggregates and ledger"
    )

    postgres_dsn: kinds.PostgresAddress = Field(
        SecretStr("postgresql://millrace@127.0.0.1:5432/millrace"),
        description="address of PostgreSQL or Supabase (secret: it may hold a password)",
    )

    spark_master: str = Field("local[*]", description="where Spark runs")
    spark_driver_memory: kinds.Memory = Field("1g", description="heap of the driver, such as `1g`")
    spark_executor_memory: kinds.Memory | None = Field(
        None, description="heap of each executor; Spark's own default when absent"
    )
    spark_executor_cores: int | None = Field(
        None, ge=1, description="cores of each executor; Spark's own default when absent"
    )

    topic_partitions: int = Field(
        3, ge=1, le=1000, description="partitions of topics that Millrace makes"
    )
    topic_replication_factor: kinds.Copies = Field(
        1,
        description="copies of each partition of topics that Millrace makes; above 1 two of them"
        " must confirm a message (`min.insync.replicas`)",
    )

    pii_hash_key: SecretStr | None = Field(
        None,
        description="key of the digests (secret); the embedded stack creates one when absent",
    )
    pii_hash_mode: Literal["hmac-sha256", "sha256"] = Field(
        "hmac-sha256", description="`hmac-sha256`, or `sha256` for data hashed that way before"
    )

    sinks: kinds.Sinks = Field(
        DEFAULT_SINKS, description="stores that receive records, separated by commas"
    )
    output_format: kinds.Formats = Field(
        ("parquet",), description="formats of files: `parquet`, `json`, `csv`, several with commas"
    )
    output_path: kinds.OutputPlace = Field(
        "./output", description="where files go: a folder, `s3a://bucket/…` or `hdfs://host:port/…`"
    )
    checkpoint_path: kinds.CheckpointPlace = Field(
        "checkpoints",
        description="where checkpoints are: a folder, by itself below `MILLRACE_HOME`,"
        " `s3a://bucket/…` or `hdfs://host:port/…`",
    )
    aws_access_key_id: str | None = Field(None, description="access key, for `s3a://` and `s3://`")
    aws_secret_access_key: SecretStr | None = Field(
        None, description="secret key (secret); without both, AWS's usual sources are used"
    )
    aws_session_token: SecretStr | None = Field(
        None, description="session token of temporary keys (secret)"
    )
    aws_region: str | None = Field(None, description="region of the buckets, such as `eu-west-3`")
    s3_endpoint_url: kinds.WebAddress | None = Field(
        None, description="address of an S3-compatible store other than AWS"
    )
    hdfs_port: kinds.Port = Field(
        8020, description="port of the embedded NameNode (`SERVICES=+hdfs`)"
    )
    hdfs_datanode_port: kinds.Port = Field(9866, description="port of the embedded DataNode")
    hadoop_conf_dir: kinds.FromProject | None = Field(
        None, description="folder of `core-site.xml` and `hdfs-site.xml`, for `hdfs://`"
    )
    hadoop_user_name: str | None = Field(None, description="user who writes to `hdfs://`")
    deduplication_days: int = Field(
        7, ge=1, le=3650, description="days for which a repeated id is a duplicate"
    )
    trigger_interval_seconds: float = Field(
        0.5, ge=0, le=86400, description="minimum time between micro-batches"
    )
    max_records_per_batch: int = Field(200_000, ge=1, description="most records in one micro-batch")
    store_retry_seconds: float = Field(
        120,
        ge=0,
        le=86400,
        description="how long a job retries, and a producer waits, during an outage",
    )
    stop_timeout_seconds: float = Field(
        30, ge=0, le=3600, description="how long a stop waits for the current micro-batch"
    )
    max_redrives: int = Field(
        3, ge=0, le=1000, description="returns of a dead letter to its topic before it is parked"
    )
    metrics_port: kinds.Port | None = Field(
        None, description="port of a job's `/metrics` and `/healthz`; none when absent"
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="address that `METRICS_PORT` listens on"
    )
    dashboard_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address that `make dashboard` listens on; others than loopback need"
        " `DASHBOARD_PASSWORD`",
    )
    dashboard_port: kinds.Port = Field(8484, description="port of `make dashboard`")
    dashboard_password: SecretStr | None = Field(
        None, description="password of `make dashboard` (secret), with any user name"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`"
    )

    @property
    def files_at(self) -> str | None:
        """Where files go; None without the files sink."""
        return self.output_path if has_files(self.sinks) else None

    def starts(self, service: str) -> bool:
        """Whether the embedded stack starts this extra service, on request or for a sink."""
        return service in self.services or service in self.sinks

    def ports_here(self) -> dict[str, int]:
        """Setting -> the port that it names for a server on this machine."""
        servers = self.kafka_bootstrap_servers.split(",")
        kafka = [int(server.rpartition(":")[2]) for server in servers]
        mongodb = [port for _, port in mongo_nodes(self.mongo_uri)]
        with_hdfs = self.starts("hdfs")
        ports = {
            "CASSANDRA_PORT": self.cassandra_port,
            "KAFKA_BOOTSTRAP_SERVERS": kafka[0] if len(kafka) == 1 else None,
            "MONGO_URI": mongodb[0] if len(mongodb) == 1 else None,
            "POSTGRES_DSN": postgres_port(self.postgres_dsn) if self.starts("postgres") else None,
            "HDFS_PORT": self.hdfs_port if with_hdfs else None,
            "HDFS_DATANODE_PORT": self.hdfs_datanode_port if with_hdfs else None,
            "KAFKA_CONTROLLER_PORT": self.kafka_controller_port,
            "CASSANDRA_STORAGE_PORT": self.cassandra_storage_port,
        }
        return {name: port for name, port in ports.items() if port is not None}

    def topic_of(self, name: str) -> str | None:
        """The topic that a setting gives a pipeline or a forward topic; None if there is none."""
        return getattr(self, f"{re.sub('[^a-z0-9]', '_', name)}_topic", None)

    @property
    def checkpoints(self) -> str:
        """The folder or address that contains each pipeline's checkpoint."""
        if "://" in self.checkpoint_path:
            return self.checkpoint_path
        return str(self.millrace_home / self.checkpoint_path)

    @property
    def jars(self) -> Path:
        """The folder of the downloaded jars, with a folder for each group."""
        return self.jars_path or self.millrace_home / "jars"

    @property
    def postgres_address(self) -> str:
        """`POSTGRES_DSN` without user, password and options, safe to show."""
        return postgres_address(self.postgres_dsn)

    @property
    def mongo_address(self) -> str:
        """`MONGO_URI` without user and password, safe to show."""
        return mongo_address(self.mongo_uri)

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


# Variables that may hold a secret.
SECRET_VARIABLES: Final = frozenset(
    name.upper()
    for name, field in Settings.model_fields.items()
    if SecretStr in {field.annotation, *get_args(field.annotation)}
)


def load_settings(
    overrides: Mapping[str, Any] | None = None, env_file: Path | None = None
) -> Settings:
    """Read the settings; command-line overrides (field names; None is ignored) take precedence.

    Raises:
        SettingsError: lists every fault: the variable, what is wrong, what to do.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    place = read_leniently(PipelinesPlace, given, env_file)
    names = pipeline_folders(place.pipelines_path) if place else ()
    return read_settings(_with_topics(names), _conflicts, given, env_file)


@cache
def _with_topics(names: tuple[str, ...]) -> type[Settings]:
    """The settings with `<NAME>_TOPIC` for each of a user's pipelines."""
    topics = {
        f"{name}_topic": (kinds.TopicName | None, Field(None, description=f"topic of {name}"))
        for name in names
        if f"{name}_topic" not in Settings.model_fields
    }
    return create_model("Settings", __base__=Settings, **topics) if topics else Settings  # type: ignore[call-overload]


def _conflicts(settings: Settings) -> list[str]:
    """Faults that concern several settings together."""
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
        # The connector checks no host names: with the system's authorities any server would pass.
        faults.append("CASSANDRA_SSL_CA_LOCATION: missing, though CASSANDRA_SSL is `true`")
    if settings.cassandra_consistency == "LOCAL_ONE" and settings.cassandra_replication_factor > 1:
        faults.append(
            "CASSANDRA_CONSISTENCY: LOCAL_ONE with CASSANDRA_REPLICATION_FACTOR"
            f" {settings.cassandra_replication_factor} would let a read miss what was written;"
            " expected LOCAL_QUORUM, QUORUM or ALL"
        )
    if settings.starts("hdfs") and "'" in str(settings.millrace_home):
        # Its NameNode runs `df` in a shell, with the path in single quotes.
        faults.append(
            f"MILLRACE_HOME: `{settings.millrace_home}` contains `'`, with which HDFS"
            " (SERVICES=+hdfs) does not start"
        )
    if settings.kafka_security_protocol.endswith("SSL"):
        faults += unreadable_authority("KAFKA_SSL_CA_LOCATION", settings.kafka_ssl_ca_location)
    if settings.cassandra_ssl:
        path = settings.cassandra_ssl_ca_location
        faults += unreadable_authority("CASSANDRA_SSL_CA_LOCATION", path)
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        faults.append("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: one is set without the other")
    if settings.aws_session_token and settings.aws_access_key_id is None:
        faults.append("AWS_SESSION_TOKEN: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY with it")
    if settings.stack != "external":
        faults += shared_ports(settings.ports_here().items())
    topics = ((n.upper(), value) for n, value in settings if n.endswith("_topic") and value)
    return faults + shared_topics(topics)
