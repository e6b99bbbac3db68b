"""Converts certificates of authorities for the connectors in the JVM.

Kafka's clients take PEM text. The Cassandra connector reads a Java key store from a file, which has
the same path on the driver and on every executor.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pyspark import SparkContext

from runtime.files import write_whole
from settings import Settings

# One certificate in a PEM file, which may have other text in between.
CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
# Java requires one, although anyone may read the certificates that it protects.
STORE_PASSWORD: Final = "certificates"  # noqa: S105 - no secret
# The connector's default lists two that TLS 1.3 and newer versions of Java do not support.
CIPHERS: Final = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
)


def pem_certificates(path: Path) -> str:
    """Only the certificates in a PEM file."""
    return "\n".join(CERTIFICATE.findall(path.read_text(encoding="utf-8")))


def trust_store_path(settings: Settings) -> Path:
    """The file from which the Cassandra connector reads the servers' authority."""
    return settings.millrace_home / "tls" / "cassandra.jks"


def tls_conf(settings: Settings) -> dict[str, str]:
    """Spark configuration that makes the Cassandra connector use TLS; empty without TLS."""
    if not settings.cassandra_ssl:
        return {}
    return {
        "spark.cassandra.connection.ssl.enabled": "true",
        "spark.cassandra.connection.ssl.trustStore.path": str(trust_store_path(settings)),
        "spark.cassandra.connection.ssl.trustStore.password": STORE_PASSWORD,
        "spark.cassandra.connection.ssl.enabledAlgorithms": ",".join(CIPHERS),
    }


def write_trust_store(settings: Settings) -> None:
    """Convert `CASSANDRA_SSL_CA_LOCATION` into the connector's trust store, by the driver's JVM."""
    authority = settings.cassandra_ssl_ca_location
    if not settings.cassandra_ssl or authority is None:
        return
    java: Any = SparkContext._jvm  # noqa: SLF001 - PySpark has no public API
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
    # Atomically, as another job may be reading it.
    write_whole(trust_store_path(settings), bytes(content.toByteArray()))
