"""What a broker's refusal means, judged by the client library's message."""

from __future__ import annotations

from typing import Final

# What librdkafka says when waiting cannot help -> which settings to correct.
KAFKA_REFUSALS: Final = {
    "could not be verified": "This machine does not know the authority that issued its certificate:"
    " set KAFKA_SSL_CA_LOCATION to that authority's PEM file.",
    "mechanism handshake failed": "Correct KAFKA_SASL_MECHANISM.",
    "unsupported sasl mechanism": "Correct KAFKA_SASL_MECHANISM.",
    "sasl authentication error": "Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.",
}


def kafka_advice(report: str) -> str | None:
    """Which settings to correct after a refusal by the broker, from the client library's report.

    None if the report is no refusal, as waiting may then help.
    """
    found = (advice for sign, advice in KAFKA_REFUSALS.items() if sign in report.lower())
    return next(found, None)
