"""A certificate authority for servers on loopback, made in the test."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEYSTORE_PASSWORD = "of-the-test-servers"


@dataclass(frozen=True)
class ServerFiles:
    """What servers are given: PEM files, and the same in a PKCS 12 key store."""

    certificate: Path
    key: Path
    both: Path
    keystore: Path


class Authority:
    """Signs certificates of `localhost`; `certificate` is what clients must know."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name = folder, _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "authority.pem"
        # Bundles have texts between their certificates.
        self.certificate.write_bytes(
            f"# {name}\n".encode() + self._certificate.public_bytes(Encoding.PEM)
        )

    def server_files(self) -> ServerFiles:
        """A new key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            _builder(_name("localhost"), self._name, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate_pem = certificate.public_bytes(Encoding.PEM)
        store = pkcs12.serialize_key_and_certificates(
            b"server",
            key,
            certificate,
            [self._certificate],
            BestAvailableEncryption(KEYSTORE_PASSWORD.encode()),
        )
        files = ServerFiles(
            *(self._folder / name for name in ("server.pem", "key.pem", "both.pem", "server.p12"))
        )
        files.certificate.write_bytes(certificate_pem)
        files.key.write_bytes(key_pem)
        files.both.write_bytes(key_pem + certificate_pem)
        files.keystore.write_bytes(store)
        return files


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
