"""Access to S3 under the names that each client uses."""

from __future__ import annotations

from settings import Settings


def s3_access(settings: Settings, key: str, secret: str, token: str, region: str) -> dict[str, str]:
    """Credentials and region under a client's names; values that are not set are left out."""
    hidden = {secret: settings.aws_secret_access_key, token: settings.aws_session_token}
    named = {
        key: settings.aws_access_key_id,
        **{name: value.get_secret_value() for name, value in hidden.items() if value},
        region: settings.aws_region,
    }
    return {name: value for name, value in named.items() if value}
