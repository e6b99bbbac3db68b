"""What a broker's refusal means: which settings to correct, from the client library's words."""

from __future__ import annotations

from typing import Final

# What librdkafka says when waiting cannot help, and which settings to look at.
KAFKA_REFUSALS: Final = {
    "could not be verified": "Its certificate is of no authority that this machine knows: set"
    " KAFKA_SSL_CA_LOCATION to the PEM file of the right one.",
    "mechanism handshake failed": "Correct KAFKA_SASL_MECHANISM.",
    "unsupported sasl mechanism": "Correct KAFKA_SASL_MECHANISM.",
    "sasl authentication error": "Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.",
}


def kafka_advice(report: str) -> str | None:
    """Which settings a refusal by the broker is about, from the client library's own report.

    None where the report names no refusal: waiting may help.
    """
    found = (advice for sign, advice in KAFKA_REFUSALS.items() if sign in report.lower())
    return next(found, None)
