"""The embedded servers with TLS and logins, as clusters elsewhere have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pymongo
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from cql.client import close, connect
from local_stack.cassandra import Cassandra
from local_stack.kafka import Kafka
from local_stack.mongodb import MongoDB
from local_stack.service import Service
from runtime.jars import ensure_jars
from runtime.java import Java, find_java
from settings import PROJECT_ROOT, Settings, load_settings
from tests.conftest import free_ports
from tests.support.authority import KEYSTORE_PASSWORD, Authority, ServerFiles

USER = "millrace"
# With what a JAAS text, a credentials file and an address would have to quote.
SCRAM_PASSWORD = 'scram-"of"\\the tests'
PLAIN_PASSWORD = "plain-of-the-tests"
CASSANDRA_PASSWORD = "cassandra-of %the% tests; 'q'"
MONGO_PASSWORD = "mongo@of:the/tests"
SECRETS = (SCRAM_PASSWORD, PLAIN_PASSWORD, CASSANDRA_PASSWORD, MONGO_PASSWORD)

KAFKA_SECURITY = """
inter.broker.listener.name=SASL_SSL
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{user}" password="{password}" user_{user}="{password}";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
"""
CASSANDRA_SECURITY = """
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
client_encryption_options:
  enabled: true
  optional: false
  keystore: {keystore}
  keystore_password: {password}
  store_type: PKCS12
"""


@dataclass(frozen=True)
class Secured:
    """Servers that want TLS and a login, and what a user sets to reach them."""

    environment: dict[str, str]
    unknown_authority: Path

    def settings(self, **changes: str) -> Settings:
        """The settings that a user would get, with other values for some of them."""
        wanted = {name.lower(): value for name, value in (self.environment | changes).items()}
        return load_settings(wanted, Path("no.env"))


class SecuredKafka(Kafka):
    """SASL_SSL for clients, with the mechanisms PLAIN and SCRAM."""

    def __init__(self, settings: Settings, java: Java, files: ServerFiles) -> None:
        super().__init__(settings, java)
        self.files = files

    def bring_up(self) -> None:
        _bring_up(self)
        _make_kafka_user(self.settings)

    def prepare(self, ports: Mapping[str, int]) -> None:
        super().prepare(ports)
        path = self._config("server.properties")
        text = path.read_text().replace("=PLAINTEXT://", "=SASL_SSL://")
        text = text.replace("=PLAINTEXT:PLAINTEXT,", "=SASL_SSL:SASL_SSL,")
        security = KAFKA_SECURITY.format(
            user=USER,
            password=PLAIN_PASSWORD,
            keystore=self.files.both,
            authority=self.settings.kafka_ssl_ca_location,
        )
        path.write_text(text + security)


class SecuredCassandra(Cassandra):
    """TLS for clients, logins, and rights that are granted."""

    def __init__(self, settings: Settings, java: Java, files: ServerFiles) -> None:
        super().__init__(settings, java)
        self.files = files

    def bring_up(self) -> None:
        _bring_up(self)
        _make_cassandra_user(self.settings)

    def prepare(self, ports: Mapping[str, int]) -> None:
        super().prepare(ports)
        security = {"keystore": self.files.keystore, "password": KEYSTORE_PASSWORD}
        with self._config("cassandra.yaml").open("a") as file:
            file.write(CASSANDRA_SECURITY.format(**security))

    def _options(self) -> list[str]:
        return ["-Dcassandra.superuser_setup_delay_ms=0", *super()._options()]


class StandIn(MongoDB):
    """Never a `mongod` of the machine, whose options are others."""

    def _mongod(self) -> None:
        return None


class SecuredMongoDB(StandIn):
    """The stand-in for mongod with its own TLS and SCRAM-SHA-256."""

    def __init__(self, settings: Settings, files: ServerFiles) -> None:
        super().__init__(settings)
        self.files = files

    def bring_up(self) -> None:
        _make_mongo_user(self.settings, self.port)
        _bring_up(self)

    def command(self) -> list[str]:
        tls = ["--tls-cert-file", self.files.certificate, "--tls-key-file", self.files.key]
        return [*super().command(), "--auth", *map(str, tls)]


@contextmanager
def secured_servers(home: Path) -> Iterator[Secured]:
    """Own Kafka, Cassandra and MongoDB, which end with the block."""
    authority = Authority(home / "authority", "Millrace tests")
    unknown = Authority(home / "unknown", "Someone else")
    files = authority.server_files()
    for name in ("jars", "tools"):
        shared = PROJECT_ROOT / ".millrace" / name
        shared.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(shared)
    kafka_port, cassandra_port, mongo_port = free_ports(3)
    mongo = f"{USER}:{quote(MONGO_PASSWORD, safe='')}@localhost:{mongo_port}"
    environment = {
        "STACK": "external",
        "MILLRACE_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka_port}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": SCRAM_PASSWORD,
        "KAFKA_SSL_CA_LOCATION": str(authority.certificate),
        "CASSANDRA_PORT": str(cassandra_port),
        "CASSANDRA_USERNAME": USER,
        "CASSANDRA_PASSWORD": CASSANDRA_PASSWORD,
        "CASSANDRA_SSL": "true",
        "CASSANDRA_SSL_CA_LOCATION": str(authority.certificate),
        "MONGO_URI": f"mongodb://{mongo}/?tls=true&tlsCAFile={authority.certificate}",
    }
    secured = Secured(environment, unknown.certificate)
    plain = {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_PASSWORD": PLAIN_PASSWORD}
    first_login = {"CASSANDRA_USERNAME": "cassandra", "CASSANDRA_PASSWORD": "cassandra"}
    settings = secured.settings(**plain, **first_login)
    java = find_java(settings)
    ensure_jars(settings, ["kafka", "cassandra", "spark"], print, java)
    services = [
        SecuredKafka(settings, java, files),
        SecuredCassandra(settings, java, files),
        SecuredMongoDB(settings, files),
    ]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda service: service.bring_up(), services))
        yield secured
    finally:
        for service in services:
            service.stop()


def _bring_up(service: Service) -> None:
    service.start()
    service.wait_ready()


def _make_kafka_user(settings: Settings) -> None:
    admin = AdminClient(settings.kafka_client_options())
    wanted = [
        UserScramCredentialUpsertion(
            USER, ScramCredentialInfo(mechanism, 4096), SCRAM_PASSWORD.encode()
        )
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
    ]
    for upsertion in wanted:
        for future in admin.alter_user_scram_credentials([upsertion]).values():
            future.result(timeout=30)


def _make_cassandra_user(settings: Settings) -> None:
    session = connect(settings)
    password = CASSANDRA_PASSWORD.replace("'", "''")
    session.execute(f"CREATE ROLE {USER} WITH PASSWORD = '{password}' AND LOGIN = true")
    session.execute(f"GRANT CREATE ON ALL KEYSPACES TO {USER}")
    close(session)


def _make_mongo_user(settings: Settings, port: int) -> None:
    """The stand-in makes users only while it wants no login."""
    address = type(settings.mongo_uri)(f"mongodb://127.0.0.1:{port}")
    server = StandIn(settings.model_copy(update={"mongo_uri": address}))
    try:
        _bring_up(server)
        with pymongo.MongoClient(port=port) as client:
            roles = [{"role": "readWrite", "db": "millrace"}]
            client.admin.command("createUser", USER, pwd=MONGO_PASSWORD, roles=roles)
    finally:
        server.stop()
