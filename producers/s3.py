"""The client of S3, or of another store that speaks it."""

from __future__ import annotations

from typing import Any, Final

from runtime.s3_access import s3_access
from settings import Settings

# Key, secret, session token and region, as boto3 calls them.
NAMES: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region_name")


def s3_client(settings: Settings, **limits: Any) -> Any:
    """A client of the store, credentials and region of the settings.

    Args:
        settings: Without keys the usual places of AWS have them.
        limits: Time-outs and retries, under botocore's names.
    """
    # They take a moment to load, and few need them.
    import boto3
    from botocore.config import Config

    # Other stores seldom have a host name for each bucket.
    style = "path" if settings.s3_endpoint_url else "auto"
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        config=Config(s3={"addressing_style": style}, **limits),
        **s3_access(settings, *NAMES),
    )
