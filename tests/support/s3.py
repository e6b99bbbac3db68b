"""A real S3 API server on loopback, and its client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

KEY, SECRET, REGION = "a-key-for-tests", "a-secret-for-tests", "us-east-1"


@pytest.fixture
def s3_endpoint() -> Iterator[str]:
    """Address of a server without buckets of this test."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_settings(endpoint: str) -> dict[str, str]:
    """What a user sets to reach the server."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "S3_ENDPOINT_URL": endpoint,
    }


def s3_client(endpoint: str) -> Any:
    """boto3's client with the same credentials."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
    )
