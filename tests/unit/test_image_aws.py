"""What the image keeps of AWS's libraries: enough for files on S3 and for credentials."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import botocore
import pytest

from settings import PROJECT_ROOT
from tests.support.containers import run_of
from tests.support.s3 import s3_endpoint

__all__ = ["s3_endpoint"]

SITE = Path(botocore.__file__).parent.parent
# `self._client_creator('sts', …)`, `create_nested_client(session, "sso-oidc", …)`.
CREATED = re.compile(
    r"(?:_client_creator\(|create_nested_client\([\w.]+,)\s*['\"]([a-z0-9-]+)['\"]"
)
LIST_BUCKETS = """
import boto3, botocore, pathlib
session = boto3.Session()
answer = session.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"]
print(session.get_credentials().method, answer, pathlib.Path(botocore.__file__).parent.parent)
"""


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a botocore from which the Dockerfile's own command has removed services."""
    folder = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(SITE / "botocore", folder / "botocore", copy_function=os.symlink)
    command = run_of("packages", "botocore/data").partition(" && ")[0]
    subprocess.run(["sh", "-c", command], cwd=folder, check=True, timeout=60)
    return folder


def test_clients_of_aws_that_are_made_have_their_data(trimmed: Path) -> None:
    code = [p for f in ("producers", "operations", "spark_jobs") for p in rglob(f)]
    made = {name for path in code for name in made_clients(path.read_text())}
    # What gives credentials makes clients of its own.
    for module in ("credentials.py", "tokens.py"):
        made |= set(CREATED.findall((SITE / "botocore" / module).read_text()))

    kept = {path.name for path in (trimmed / "botocore" / "data").iterdir() if path.is_dir()}
    assert kept == made == {"s3", "sts", "sso", "sso-oidc", "signin"}


def test_a_pod_gets_its_credentials_from_its_role(trimmed: Path, s3_endpoint: str) -> None:
    token = trimmed / "token"
    token.write_text("a-token-of-the-cluster")
    environment = {
        "PYTHONPATH": str(trimmed),
        "HOME": str(trimmed),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/millrace",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_REGION": "eu-west-3",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ENDPOINT_URL": s3_endpoint,
    }

    said = subprocess.run(
        [sys.executable, "-c", LIST_BUCKETS],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (said.returncode, said.stdout) == (0, f"assume-role-with-web-identity 200 {trimmed}\n")


def rglob(folder: str) -> list[Path]:
    return [*(PROJECT_ROOT / folder).rglob("*.py")]


def made_clients(code: str) -> list[str]:
    return re.findall(r"boto3\.(?:client|resource)\(\s*\"(\w+)\"", code)
