"""Creates the buckets of files and checkpoints on S3 stores other than AWS."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from errors import SinkRejected, SinkUnavailable
from producers.s3 import s3_client
from settings import Settings
from spark_jobs.session.hadoop_conf import places_on_s3

THERE_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def ensure_bucket(settings: Settings) -> str | None:
    """Create missing buckets of files and checkpoints at S3_ENDPOINT_URL.

    Returns the names of the new ones, None if all existed.

    On AWS, where bucket names are global and cost money, users create their own.

    Raises:
        SinkUnavailable: the store cannot be reached.
        SinkRejected: the store refused.
    """
    wanted = dict.fromkeys(urlsplit(place).netloc for place in places_on_s3(settings))
    if not (wanted and settings.s3_endpoint_url):
        return None
    # This takes a moment to load, and few users need it.
    from botocore.exceptions import BotoCoreError, ClientError

    made = []
    try:
        client = s3_client(settings, connect_timeout=10, read_timeout=30)
        there = {found["Name"] for found in client.list_buckets()["Buckets"]}
        for bucket in wanted:
            if bucket not in there and _is_made(client, bucket):
                made.append(bucket)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        raise SinkRejected(
            f"The store at `{settings.s3_endpoint_url}` refused the bucket"
            f" `{', '.join(wanted)}`: {code}. Create it yourself, or correct OUTPUT_PATH,"
            " CHECKPOINT_PATH and the AWS_… credentials."
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise SinkUnavailable(
            f"Cannot reach S3 at `{settings.s3_endpoint_url}`: {type(error).__name__}. Check that"
            " S3_ENDPOINT_URL answers and that AWS_REGION and the AWS_… credentials are set."
        ) from error
    return ", ".join(made) or None


def _is_made(client: Any, bucket: str) -> bool:
    """Create a bucket; False if it has been created meanwhile."""
    from botocore.exceptions import ClientError

    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in THERE_ALREADY:
            return False
        raise
    return True
