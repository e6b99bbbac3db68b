"""The bucket of the files, on a store that is not AWS."""

from __future__ import annotations

from urllib.parse import urlsplit

from producers.s3 import s3_client
from settings import Settings, SinkRejected, SinkUnavailable
from spark_jobs.stores import writes_to_s3

THERE_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def ensure_bucket(settings: Settings) -> str | None:
    """Create the bucket of OUTPUT_PATH on S3_ENDPOINT_URL if it is absent; gives its name if so.

    On AWS, where names are shared by all customers and cost money, it is its owner who makes it.

    Raises:
        SinkUnavailable: the store cannot be reached.
        SinkRejected: the store refused.
    """
    if not (writes_to_s3(settings) and settings.s3_endpoint_url):
        return None
    # It takes a moment to load, and few need it.
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = urlsplit(settings.output_path).netloc
    try:
        client = s3_client(settings, connect_timeout=10, read_timeout=30)
        if bucket in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            return None
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code in THERE_ALREADY:
            return None
        raise SinkRejected(
            f"The store at `{settings.s3_endpoint_url}` did not give the bucket `{bucket}`: {code}."
            " Create it yourself, or correct OUTPUT_PATH and the AWS_… credentials."
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise SinkUnavailable(
            f"Cannot reach S3 at `{settings.s3_endpoint_url}`: {type(error).__name__}. See that"
            " S3_ENDPOINT_URL answers and that AWS_REGION and the AWS_… credentials are set."
        ) from error
    return bucket
