"""Addresses of stores: which are refused, and what is shown of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import SettingsError
from settings import load_settings

NO_FILE = Path("no.env")


def test_scheme_of_an_address_is_taken_in_lower_case() -> None:
    given = {
        "output_path": "S3A://Bucket/Out/",
        "checkpoint_path": "HDFS://Name:8020/x",
        "customers_source": "S3://Bucket/Customers.csv",
    }

    settings = load_settings(given, NO_FILE)

    assert settings.output_path == "s3a://Bucket/Out"
    assert settings.checkpoints == "hdfs://Name:8020/x"
    assert settings.customers_source == "s3://Bucket/Customers.csv"


@pytest.mark.parametrize(
    ("setting", "address", "expected"),
    [
        ("MONGO_URI", "mongodb+srv://u:pa/hush@h/", "`mongodb+srv://host`"),
        ("MONGO_URI", "mongodb+srv://u:p@hush@h/", "`mongodb+srv://host`"),
        ("MONGO_URI", "mongodb+srv://h.example:27017/", "`mongodb+srv://host`"),
        ("MONGO_URI", "mongodb+srv://a.example,b.example/", "`mongodb+srv://host`"),
        ("MONGO_URI", "mongodb+srv://h.example/?tls", "`mongodb+srv://host`"),
        ("MONGO_URI", "mongodb://user:12/hush@host", "`mongodb://host:port`"),
        ("MONGO_URI", "mongodb+srv://user:12/hush@host", "`mongodb+srv://host`"),
        ("POSTGRES_DSN", "postgresql://me:/Xhush@h:5432/x", "`postgresql://user@host:5432/"),
        ("POSTGRES_DSN", "POSTGRESQL://me:hush@h:5432/x", "`postgresql://user@host:5432/"),
    ],
)
def test_address_whose_parts_cannot_be_distinguished_is_refused(
    setting: str, address: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, address)

    with pytest.raises(SettingsError, match=f"{setting}: not a readable address") as caught:
        load_settings(env_file=NO_FILE)

    assert f"expected {expected}" in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mongodb://u:p%2F%40@h:1/db?authSource=a@b", "mongodb://h:1"),
        ("mongodb://a:1,b:2?tls=true", "mongodb://a:1,b:2"),
        ("mongodb+srv://u:p@h.example/?srvMaxHosts=2&w=majority", "mongodb+srv://h.example"),
        ("mongodb+srv://h.example", "mongodb+srv://h.example"),
    ],
)
def test_readable_address_of_mongodb_is_shown_without_login_and_options(
    address: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", address)

    assert load_settings(env_file=NO_FILE).mongo_address == shown
