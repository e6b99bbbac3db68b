"""Certificates of authorities in the forms that the connectors in the JVM want.

Kafka's clients take a PEM text. The Cassandra connector wants a Java key store and reads it as a
file, under the same path on the driver and on every executor.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pyspark import SparkContext

from runtime.files import write_whole
from settings import Settings

# One certificate of a PEM file, which may hold texts between them.
CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
# Java wants one; what it guards are certificates that anyone may read.
STORE_PASSWORD: Final = "certificates"  # noqa: S105 - no secret
# The connector's own list is of two that TLS 1.3 and newer Java no longer have.
CIPHERS: Final = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
)


def pem_certificates(path: Path) -> str:
    """The certificates of a PEM file, and nothing else of it."""
    return "\n".join(CERTIFICATE.findall(path.read_text(encoding="utf-8")))


def trust_store_path(settings: Settings) -> Path:
    """Where the Cassandra connector finds the authority of the servers."""
    return settings.millrace_home / "tls" / "cassandra.jks"


def tls_conf(settings: Settings) -> dict[str, str]:
    """Spark configuration by which the Cassandra connector speaks TLS; empty without."""
    if not settings.cassandra_ssl:
        return {}
    return {
        "spark.cassandra.connection.ssl.enabled": "true",
        "spark.cassandra.connection.ssl.trustStore.path": str(trust_store_path(settings)),
        "spark.cassandra.connection.ssl.trustStore.password": STORE_PASSWORD,
        "spark.cassandra.connection.ssl.enabledAlgorithms": ",".join(CIPHERS),
    }


def write_trust_store(settings: Settings) -> None:
    """Make the connector's trust store of `CASSANDRA_SSL_CA_LOCATION`, by the driver's JVM."""
    authority = settings.cassandra_ssl_ca_location
    if not settings.cassandra_ssl or authority is None:
        return
    java: Any = SparkContext._jvm  # noqa: SLF001 - PySpark has no public way
    gateway: Any = SparkContext._gateway  # noqa: SLF001
    password = gateway.new_array(java.char, len(STORE_PASSWORD))
    for position, character in enumerate(STORE_PASSWORD):
        password[position] = character
    pem = java.java.io.ByteArrayInputStream(bytearray(pem_certificates(authority).encode()))
    factory = java.java.security.cert.CertificateFactory.getInstance("X.509")
    store = java.java.security.KeyStore.getInstance("JKS")
    store.load(None, password)
    for number, certificate in enumerate(factory.generateCertificates(pem)):
        store.setCertificateEntry(f"authority-{number}", certificate)
    content = java.java.io.ByteArrayOutputStream()
    store.store(content, password)
    # Whole, as another job may read it at this moment.
    write_whole(trust_store_path(settings), bytes(content.toByteArray()))
