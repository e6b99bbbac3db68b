"""Tests of the stack give child processes an environment without any setting of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import Settings, load_settings
from tests.conftest import explicit_settings

EVERYTHING = """
STACK=external
MILLRACE_HOME=elsewhere
KAFKA_BOOTSTRAP_SERVERS=broker.example:9092
KAFKA_SECURITY_PROTOCOL=SASL_SSL
KAFKA_SASL_MECHANISM=SCRAM-SHA-512
KAFKA_SASL_USERNAME=me
KAFKA_SASL_PASSWORD=mine
CASSANDRA_CONTACT_POINTS=db.example
CASSANDRA_USERNAME=me
CASSANDRA_PASSWORD=mine
MONGO_URI=mongodb://me:mine@db.example
SPARK_EXECUTOR_MEMORY=64g
PII_HASH_KEY=mine
SINKS=mongodb
DEDUPLICATION_DAYS=1
LOG_LEVEL=ERROR
"""


def test_no_setting_comes_from_the_users_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text(EVERYTHING)
    for name, value in explicit_settings(file).items():
        monkeypatch.setenv(name, value)

    settings = load_settings(env_file=file)

    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    differing = {name for name, default in defaults.items() if getattr(settings, name) != default}
    assert differing == {
        "millrace_home",  # the same folder, made absolute
        "output_path",  # likewise
        "pipelines_path",
        "kafka_sasl_mechanism",
        "kafka_sasl_username",
        "kafka_sasl_password",
        "cassandra_username",
        "cassandra_password",
        "spark_executor_memory",
        "pii_hash_key",
    }
    assert settings.kafka_security_protocol == "PLAINTEXT"
    assert settings.millrace_home.name == ".millrace"
    assert settings.pii_hash_key is not None
    assert settings.pii_hash_key.get_secret_value() == "a key for tests only"


def test_without_a_file_absent_settings_stay_absent(tmp_path: Path) -> None:
    names = explicit_settings(tmp_path / "none").keys()

    assert "PII_HASH_KEY" not in names
    assert "CASSANDRA_PORT" in names
