"""System C, the customer stream: a CSV on S3, two jobs started apart, HDFS and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.rows import dict_row

from settings import Settings
from tests.support.hdfs import copy_from_hdfs, running_hdfs
from tests.support.postgres import MakeDatabase
from tests.support.s3 import s3_client, s3_endpoint, s3_settings
from tests.support.user import MakeUser, User, make_user

__all__ = ["make_user", "s3_endpoint"]

COLUMNS = (
    "customer_id,first_name,last_name,email,phone,address,city,state,country,postal_code,created_at"
)
# Four of the USA, two of elsewhere, five incomplete ones, and an id that comes again.
CUSTOMERS = f"""{COLUMNS}
CUST-1,Ada,Lovelace,ada@example.com,+1 555 0100,"1 Main St,
Apt 2",Boston,MA,USA,02139,2024-01-02T03:04:05Z
CUST-2,Grace,Hopper,grace@navy.example,,,,,United States,,
CUST-3,Alan,Kay,alan@parc.example,,,,CA,us,,2024-02-29
CUST-4,Barbara,Liskov,barbara@mit.example,,,,,U.S.,,2023-12-31T23:59:59-05:00
CUST-5,Marie,Curie,marie@paris.example,,,Paris,,France,,
CUST-6,Emmy,Noether,emmy@goettingen.example,,,,,Germany,,
CUST-7,Edsger,Dijkstra,,,,,,USA,,
CUST-8,Donald,Knuth,no-at-sign,,,,,USA,,
,Tony,Hoare,tony@oxford.example,,,,,UK,,
CUST-10, ,,x@example.com,,,,,,,
CUST-11,John,Backus,,,,,,USA,,tomorrow
CUST-1,Someone,Else,else@example.com,,,,,USA,,
"""
USA = {
    "CUST-1": {
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
        "phone": "+1 555 0100", "address": "1 Main St,\nApt 2", "city": "Boston", "state": "MA",
        "country": "USA", "postal_code": "02139", "created_at": "2024-01-02T03:04:05.000Z",
    },
    "CUST-2": {
        "first_name": "Grace", "last_name": "Hopper", "email": "grace@navy.example",
        "country": "United States",
    },
    "CUST-3": {
        "first_name": "Alan", "last_name": "Kay", "email": "alan@parc.example", "state": "CA",
        "country": "us", "created_at": "2024-02-29T00:00:00.000Z",
    },
    "CUST-4": {
        "first_name": "Barbara", "last_name": "Liskov", "email": "barbara@mit.example",
        "country": "U.S.", "created_at": "2024-01-01T04:59:59.000Z",
    },
}  # fmt: skip
REASONS = {
    "CUST-7": ["missing_email"],
    "CUST-8": ["invalid_email"],
    "": ["missing_customer_id"],
    "CUST-10": ["missing_first_name", "missing_last_name", "missing_country"],
    "CUST-11": ["missing_email", "invalid_created_at"],
}


@pytest.fixture
def hdfs(stack_settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    home = tmp_path / "hdfs"
    home.mkdir()
    with running_hdfs(stack_settings, home) as settings:
        yield settings


def customers(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Id -> what a row says of the customer, without columns of lineage and absent values."""
    found = {}
    for row in rows:
        said = {n: row.get(n) for n in (*COLUMNS.split(",")[1:], "reasons")}
        if hasattr(said["created_at"], "astimezone"):
            moment = said["created_at"].astimezone(UTC).isoformat(timespec="milliseconds")
            said["created_at"] = moment.replace("+00:00", "Z")
        ident = row.get("customer_id") or ""
        assert ident not in found
        found[ident] = {name: value for name, value in said.items() if value is not None}
    return found


def on_hdfs(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    files = [*(folder / name).iterdir()]
    assert files
    assert all(file.suffix == ".parquet" for file in files)
    return customers(row for file in files for row in pq.read_table(file).to_pylist())


def in_postgres(dsn: str, name: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return customers(connection.execute(f"SELECT * FROM {name}".encode()).fetchall())


def on_topic(user: User, setting: str) -> dict[str, dict[str, Any]]:
    return customers(record.value for record in user.records(setting))


def test_system_c_customer_stream(
    make_user: MakeUser,
    make_database: MakeDatabase,
    s3_endpoint: str,
    hdfs: Settings,
    tmp_path: Path,
) -> None:
    """S3 to `customers-raw`; job 1 to HDFS and the two topics, job 2 to PostgreSQL."""
    s3 = s3_client(s3_endpoint)
    s3.create_bucket(Bucket="crm-exports")
    s3.put_object(Bucket="crm-exports", Key="daily/customers.csv", Body=CUSTOMERS.encode())
    dsn = make_database().get_secret_value()
    user = make_user(
        reads="CUSTOMERS_TOPIC", SINKS="files,postgres", POSTGRES_DSN=dsn,
        OUTPUT_PATH=hdfs.output_path, **s3_settings(s3_endpoint),
    )  # fmt: skip

    sent = user.produce(
        "python -m producers.customers --source s3://crm-exports/daily/customers.csv"
    )
    user.run("python -m spark_jobs.customers --available-now --sinks files --output-format parquet")
    user.run("python -m spark_jobs.customers --available-now --sinks postgres")

    files = tmp_path / "from-hdfs"
    copy_from_hdfs(hdfs, "/out", files)
    assert sent == len(user.records("CUSTOMERS_TOPIC")) == 12
    assert on_hdfs(files, "customers_usa") == USA
    assert in_postgres(dsn, "customers_usa") == USA
    assert on_topic(user, "CUSTOMERS_USA_TOPIC") == USA
    alerts = on_topic(user, "CUSTOMERS_ALERTS_TOPIC")
    assert {ident: alert["reasons"] for ident, alert in alerts.items()} == REASONS
    assert alerts[""]["last_name"] == "Hoare"
    assert on_hdfs(files, "customers_alerts") == alerts
    assert in_postgres(dsn, "customers_alerts") == alerts
    accounted = ("read", "stored", "alerts", "filtered", "duplicates", "dead_lettered")
    assert {
        batch["pipeline"]: [batch[name] for name in accounted]
        for batch in user.documents("batches")
    } == {
        "customers-files": [12, 9, 5, 2, 1, 0],
        "customers-postgres": [12, 9, 5, 2, 1, 0],
    }
