"""Settings: precedence, faults all at once, secrets masked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from errors import SettingsError
from keys import load_pii_hash_key
from runtime.kafka_refusals import kafka_advice
from settings import PROJECT_ROOT, SECRETS_VARIABLE, Settings, load_settings

NO_FILE = Path("no.env")


def test_options_win_over_environment_over_env_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("CASSANDRA_PORT=1\nTICKETS_RATE=2\nTICKETS_COUNT=3\n")
    monkeypatch.setenv("TICKETS_RATE", "20")
    monkeypatch.setenv("TICKETS_COUNT", "30")

    settings = load_settings({"tickets_count": 300, "tickets_topic": None}, env_file)

    assert settings.cassandra_port == 1
    assert settings.tickets_rate == 20
    assert settings.tickets_count == 300
    assert settings.tickets_topic == "client_tickets"


def test_all_faults_are_listed_together_with_their_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "CASSANDRA_PORT": "70000",
        "SINKS": "cassandra,mongo",
        "KAFKA_BOOTSTRAP_SERVERS": "broker",
        "STACK": "cloud",
        "SPARK_DRIVER_MEMORY": "lots",
        "TICKETS_TOPIC": "a b",
        "MONGO_URI": "http://x",
        "CASSANDRA_USERNAME": "me",
        "CASSANDRA_SSL": "true",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=NO_FILE)

    text = str(caught.value)
    assert text.startswith("9 setting(s) cannot be used")
    assert "- CASSANDRA_USERNAME, CASSANDRA_PASSWORD: one is set without the other" in text
    assert "- CASSANDRA_SSL_CA_LOCATION: missing" in text
    assert "SINKS: `mongo` is not a sink; valid: cassandra, files, postgres, mongodb" in text
    for name in ("CASSANDRA_PORT", "KAFKA_BOOTSTRAP_SERVERS", "STACK", "SPARK_DRIVER_MEMORY"):
        assert f"- {name}: " in text
    assert "- TICKETS_TOPIC: " in text
    assert "- MONGO_URI: " in text


def test_sasl_without_login_names_each_missing_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "me")

    with pytest.raises(SettingsError, match=r"KAFKA_SASL_MECHANISM(.|\n)*KAFKA_SASL_PASSWORD"):
        load_settings(env_file=NO_FILE)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"CASSANDRA_CONSISTENCY": "local_one", "CASSANDRA_REPLICATION_FACTOR": "3"},
            "CASSANDRA_CONSISTENCY: LOCAL_ONE with CASSANDRA_REPLICATION_FACTOR 3",
        ),
        ({"CASSANDRA_SSL": "true"}, "CASSANDRA_SSL_CA_LOCATION: missing"),
        (
            {"CASSANDRA_SSL": "true", "CASSANDRA_SSL_CA_LOCATION": "/no/file.pem"},
            "CASSANDRA_SSL_CA_LOCATION: `/no/file.pem` cannot be used (No such file",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": __file__},
            "cannot be used (no certificate in it); expected a PEM file",
        ),
        (
            {"MONGO_URI": "mongodb://me:hush@db/?tls=true&tlsCAFile=/no/file.pem"},
            "MONGO_URI: a file of its options cannot be read",
        ),
        (
            {"CASSANDRA_STORAGE_PORT": "9092", "MONGO_URI": "mongodb://127.0.0.1:9092"},
            "CASSANDRA_STORAGE_PORT, KAFKA_BOOTSTRAP_SERVERS, MONGO_URI: port 9092 for all",
        ),
        (
            {"KAFKA_BOOTSTRAP_SERVERS": "a:9092,127.0.0.1:99999"},
            "KAFKA_BOOTSTRAP_SERVERS: expected `host:port`, several separated by commas, each port"
            " from 1 to 65535",
        ),
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:0"}, "each port from 1 to 65535"),
        ({"CHECKPOINT_PATH": "s3://bucket/x"}, "CHECKPOINT_PATH: expected a folder, `s3a://"),
        ({"CHECKPOINT_PATH": "hdfs:///x"}, "CHECKPOINT_PATH: expected a folder, `s3a://"),
        ({"CHECKPOINT_PATH": "s3a:/b/x"}, "CHECKPOINT_PATH: expected a folder, `s3a://"),
        ({"OUTPUT_PATH": "S3A:/b/x"}, "OUTPUT_PATH: expected a folder, `s3a://"),
        ({"CUSTOMERS_SOURCE": "s3:/b/x"}, "CUSTOMERS_SOURCE: expected a file or `s3://bucket/key`"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_setting_that_cannot_work_is_refused_before_anything_starts(
    values: dict[str, str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=NO_FILE)

    assert fault in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("MILLRACE_HOME", "JARS_PATH", "PIPELINES_PATH", "OUTPUT_PATH", "CHECKPOINT_PATH"),
        *("CUSTOMERS_SOURCE", "KAFKA_SSL_CA_LOCATION", "HADOOP_CONF_DIR", SECRETS_VARIABLE),
    ],
)
def test_home_folder_of_an_unknown_user_is_a_fault_of_its_setting(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "~nosuchuser/x")

    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=NO_FILE)

    fault = "`~nosuchuser` is the home folder of no user here; expected a path without it"
    assert f"{name}: {fault}" in str(caught.value)


@pytest.mark.parametrize("port", [1, 65535])
def test_first_and_last_port_of_a_broker_are_accepted(port: int) -> None:
    servers = {"kafka_bootstrap_servers": f"a:{port}"}

    assert load_settings(servers, NO_FILE).kafka_bootstrap_servers == f"a:{port}"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (None, f"{PROJECT_ROOT}/.millrace/checkpoints"),
        ("/shared/checkpoints", "/shared/checkpoints"),
        ("~/checkpoints", f"{Path.home()}/checkpoints"),
        ("s3a://bucket/checkpoints/", "s3a://bucket/checkpoints"),
    ],
)
def test_checkpoints_lie_below_the_state_folder_or_where_they_are_set(
    given: str | None, place: str
) -> None:
    assert load_settings({"checkpoint_path": given}, NO_FILE).checkpoints == place


@pytest.mark.parametrize(
    ("report", "advice"),
    [
        ("SASL authentication error: Authentication failed (after 1ms)", "KAFKA_SASL_PASSWORD"),
        ("SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupp…", "KAFKA_SASL_MECHANISM"),
        (
            "SSL handshake failed: certificate verify failed: broker certificate could not be"
            " verified, verify that ssl.ca.location is correctly configured",
            "set KAFKA_SSL_CA_LOCATION",
        ),
        ("Connect to ipv4#127.0.0.1:9 failed: Connection refused", None),
        # So it looks also while a broker restarts, which is waited for.
        ("Disconnected while requesting ApiVersion: might be caused by incorrect", None),
    ],
    ids=["login", "mechanism", "authority", "away", "restarts"],
)
def test_refusal_of_the_broker_leads_to_its_settings(report: str, advice: str | None) -> None:
    found = kafka_advice(report)

    assert found is None if advice is None else advice in str(found)


def test_secrets_are_in_no_repr_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PII_HASH_KEY", "hush-key")
    monkeypatch.setenv("MONGO_URI", "mongodb://me:hush-mongo@db:27017/?tls=true")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hush-kafka")

    settings = load_settings(env_file=NO_FILE)

    assert "hush" not in repr(settings)
    assert settings.mongo_address == "mongodb://db:27017"
    monkeypatch.setenv("MONGO_URI", "hush-mongo")
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=NO_FILE)
    assert "hush" not in str(caught.value)


def test_files_of_secrets_count_after_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "pii_hash_key").write_text("key of the file\n")
    (folder / "cassandra_port").write_text("1")
    (folder / "tickets_rate").write_text("1")
    (folder / "something_else").write_text("x")
    env_file = tmp_path / ".env"
    env_file.write_text("CASSANDRA_PORT=2\n")
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))
    monkeypatch.setenv("TICKETS_RATE", "3")

    settings = load_settings(env_file=env_file)

    assert load_pii_hash_key(settings) == "key of the file"
    assert settings.cassandra_port == 2
    assert settings.tickets_rate == 3
    assert "key of the file" not in repr(settings)


def test_missing_folder_of_secrets_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRETS_VARIABLE, str(tmp_path / "none"))

    with pytest.raises(SettingsError, match=r"MILLRACE_SECRETS_DIR: there is no folder `.*/none`"):
        load_settings(env_file=NO_FILE)


@pytest.mark.parametrize(
    ("below", "reason"),
    [
        ("", "must hold only plain files that this user may read"),
        ("secrets", "this user cannot enter a folder above `/.*/locked/secrets`"),
    ],
)
def test_folder_of_secrets_that_the_user_cannot_enter_is_named(
    below: str, reason: str, locked_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRETS_VARIABLE, str(locked_folder / below))

    with pytest.raises(SettingsError, match=f"^MILLRACE_SECRETS_DIR: .*{reason}"):
        load_settings(env_file=NO_FILE)


def test_secret_that_is_no_file_of_the_folder_is_an_error_that_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").write_text("hush")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "pii_hash_key").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))

    with pytest.raises(SettingsError, match="only plain files that this user may read") as caught:
        load_settings(env_file=NO_FILE)
    assert "pii_hash_key" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_empty_files_of_secrets_count_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PII_HASH_KEY", "POSTGRES_DSN", "MONGO_URI", "CASSANDRA_USERNAME"):
        (tmp_path / name).write_text("\n")
    monkeypatch.setenv(SECRETS_VARIABLE, str(tmp_path))

    settings = load_settings(env_file=NO_FILE)

    assert settings.mongo_address == "mongodb://127.0.0.1:27017"
    assert settings.pii_hash_key is None
    assert settings.cassandra_username is None


def test_empty_values_count_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PII_HASH_KEY", "")
    monkeypatch.setenv("CASSANDRA_PORT", "")

    settings = load_settings(env_file=NO_FILE)

    assert settings.pii_hash_key is None
    assert settings.cassandra_port == 9042


def test_relative_home_lies_in_the_project_wherever_one_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings(env_file=NO_FILE).millrace_home == PROJECT_ROOT / ".millrace"


@pytest.mark.parametrize(
    "name",
    ["kafka_ssl_ca_location", "cassandra_ssl_ca_location", "hadoop_conf_dir", "customers_source"],
)
def test_other_relative_paths_lie_there_too(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine").touch()
    monkeypatch.chdir(tmp_path)

    settings = load_settings({name: "mine"}, NO_FILE)

    assert str(getattr(settings, name)) == f"{PROJECT_ROOT}/mine"


def test_link_to_an_authority_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").symlink_to("2024.pem")

    settings = load_settings({"kafka_ssl_ca_location": tmp_path / "ca.pem"}, NO_FILE)

    assert settings.kafka_ssl_ca_location == tmp_path / "ca.pem"


def test_embedded_stack_makes_one_key_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(millrace_home=tmp_path)

    first = load_pii_hash_key(settings)

    path = tmp_path / "pii_hash_key"
    assert first
    assert load_pii_hash_key(settings) == first
    assert path.read_text() == first + "\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("stack", ["docker", "external"])
def test_other_stacks_must_be_given_a_key(tmp_path: Path, stack: str) -> None:
    settings = Settings(millrace_home=tmp_path, stack=stack)  # type: ignore[arg-type]

    with pytest.raises(SettingsError, match="PII_HASH_KEY: missing"):
        load_pii_hash_key(settings)
    assert not (tmp_path / "pii_hash_key").exists()


def test_plain_sha256_needs_no_key(tmp_path: Path) -> None:
    settings = Settings(millrace_home=tmp_path, stack="external", pii_hash_mode="sha256")

    assert load_pii_hash_key(settings) is None
