"""The environment of a driver's JVM."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from pydantic import SecretStr

from settings import SECRET_VARIABLES, Settings
from spark_jobs.session.launch_options import LaunchOptions


def test_every_setting_that_may_hold_a_secret_is_kept_from_the_jvm() -> None:
    assert {
        *("PII_HASH_KEY", "KAFKA_SASL_PASSWORD", "CASSANDRA_PASSWORD", "MONGO_URI"),
        *("POSTGRES_DSN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "DASHBOARD_PASSWORD"),
    } == SECRET_VARIABLES
    secret = {
        name.upper()
        for name, value in Settings(_env_file=None, pii_hash_key="x")
        if isinstance(value, SecretStr)
    }
    assert secret <= SECRET_VARIABLES


@pytest.mark.parametrize("name", ["PII_HASH_KEY", "pii_hash_key", "Cassandra_Password"])
def test_process_gets_the_environment_without_secrets_in_any_case(name: str) -> None:
    options = LaunchOptions({"CLASSES": "a.jar"}, stdout=subprocess.PIPE)
    # As PySpark does.
    options["env"] = {"PATH": "/bin", name: "never"}

    done: Any = subprocess.run(["/usr/bin/env"], check=True, **options)

    assert sorted(done.stdout.decode().split()) == ["CLASSES=a.jar", "PATH=/bin"]
