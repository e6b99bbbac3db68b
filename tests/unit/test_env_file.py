"""The file of settings: which one counts, and what it may not be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from errors import SettingsError
from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, load_settings


def test_children_in_another_folder_read_the_same_relative_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.env").write_text("KAFKA_BOOTSTRAP_SERVERS=broker:1\n")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv(ENV_FILE_VARIABLE, "my.env")
    monkeypatch.chdir(tmp_path)
    program = "import settings; print(settings.load_settings().kafka_bootstrap_servers)"

    assert load_settings().kafka_bootstrap_servers == "broker:1"
    child = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert child.stdout == "broker:1\n"


@pytest.mark.parametrize("name", ["tpyo.env", "~nosuchuser/my.env"])
def test_named_file_that_does_not_exist_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV_FILE_VARIABLE, name)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert str(caught.value) == (
        f"MILLRACE_ENV_FILE: there is no file `{tmp_path}/{name}`. Correct the path, or unset the"
        " variable to use `.env`."
    )


def test_env_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV_FILE_VARIABLE, str(tmp_path))

    with pytest.raises(SettingsError, match=rf"`{tmp_path}` cannot be read \(Is a directory\)"):
        load_settings()


def test_default_env_file_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ENV_FILE_VARIABLE, raising=False)
    monkeypatch.setattr("runtime.config.env_file.PROJECT_ROOT", tmp_path)

    assert load_settings().stack == "embedded"


def test_lines_that_set_nothing_are_listed_with_all_other_faults(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# a comment\n\nSINKS: cassandra\nexport TICKETS_RATE=1\nSTACK\nCASSANDRA_PORT=70000\n"
        'LOG_LEVEL=\n\n\n  PII_HASH_KEY="hush\n'
    )

    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=path)

    assert str(caught.value).splitlines()[:5] == [
        "4 setting(s) cannot be used:",
        f"  - {path}, line 3: expected NAME=value",
        f"  - {path}, line 5: expected NAME=value",
        f"  - {path}, line 10: expected NAME=value, with a quote on both sides or on none",
        "  - CASSANDRA_PORT: input should be less than or equal to 65535",
    ]
    assert "hush" not in str(caught.value)


def test_line_without_a_setting_is_a_fault_by_itself_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ".env"
    path.write_text("SINKS: cassandra\r\n")

    with pytest.raises(SettingsError, match=r"1 setting.*\n.*\.env, line 1: expected NAME=value\n"):
        load_settings(env_file=path)
    assert caplog.text == ""


def test_variable_is_replaced_except_in_single_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEWHERE", "/data")
    path = tmp_path / ".env"
    path.write_text(
        "OUTPUT_PATH=${SOMEWHERE}/out\n"
        'CHECKPOINT_PATH="${OUTPUT_PATH}/${NOT_THERE:-checkpoints}"\n'
        "KAFKA_SASL_PASSWORD = 'pa${ss}wo$rd' # a comment\n"
        "\n"
        "export PII_HASH_KEY='it\\'s ${SOMEWHERE}'\n"
        "HADOOP_USER_NAME='${OUTPUT_PATH}'\n"
    )

    settings = load_settings(env_file=path)

    assert settings.output_path == "/data/out"
    assert settings.checkpoints == "/data/out/checkpoints"
    secrets = (settings.kafka_sasl_password, settings.pii_hash_key)
    assert [each and each.get_secret_value() for each in secrets] == [
        "pa${ss}wo$rd",
        "it's ${SOMEWHERE}",
    ]
    assert settings.hadoop_user_name == "${OUTPUT_PATH}"


def test_env_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"STACK=embedded\nCASSANDRA_PASSWORD=hush\xe9\n")

    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=path)

    assert str(caught.value) == (
        f"The file of settings `{path}` is not UTF-8 in line 2. Save it as UTF-8."
    )


def test_env_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfCASSANDRA_PORT=1\n")

    assert load_settings(env_file=path).cassandra_port == 1
