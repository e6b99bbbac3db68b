"""Access to S3 under the names that each client uses."""

from __future__ import annotations

from settings import Settings


def s3_access(settings: Settings, key: str, secret: str, region: str) -> dict[str, str]:
    """Credentials and region under a client's names; values that are not set are left out."""
    hidden = settings.aws_secret_access_key
    named = {
        key: settings.aws_access_key_id,
        secret: hidden.get_secret_value() if hidden else None,
        region: settings.aws_region,
    }
    return {name: value for name, value in named.items() if value}
