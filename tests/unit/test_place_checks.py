"""HDFS as `make doctor` finds it from Hadoop's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from operations.doctor.check import Fault
from operations.doctor.place_checks import hdfs_faults, look_at_source, name_nodes
from settings import PROJECT_ROOT, Settings
from spark_jobs.session.hadoop_conf import site_options

NO_FILE = Path("no.env")


def texts(faults: Sequence[Fault]) -> list[str]:
    return [fault.text for fault in faults]


def test_name_of_a_highly_available_hdfs_leads_to_its_name_nodes(tmp_path: Path) -> None:
    (tmp_path / "hdfs-site.xml").write_text(
        "<configuration>"
        "<property><name>dfs.ha.namenodes.big</name><value>a, b</value></property>"
        "<property><name>dfs.namenode.rpc-address.big.a</name><value>one:9000</value></property>"
        "<property><name>dfs.namenode.rpc-address.big.b</name><value>two:9001</value></property>"
        "</configuration>"
    )

    options = site_options(tmp_path, "hdfs-site.xml")
    assert name_nodes("big", options) == (("one", 9000), ("two", 9001))
    assert name_nodes("host:8021", {}) == (("host", 8021),)
    assert name_nodes("host", site_options(None, "hdfs-site.xml")) == (("host", 8020),)


def test_broken_configuration_of_hdfs_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "hdfs-site.xml").write_text("<configuration>")
    settings = Settings(
        _env_file=None, output_path="hdfs://big/x", hadoop_conf_dir=tmp_path, stack="external"
    )

    (fault,) = hdfs_faults(settings)

    assert f"`{tmp_path}/hdfs-site.xml` cannot be read (ParseError): correct it" in fault.text


def test_customers_are_looked_for_where_the_producer_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "absent.csv").write_text("Customer_ID\n")
    monkeypatch.chdir(tmp_path)

    (line,) = look_at_source(Settings(_env_file=None, customers_source="absent.csv"))

    assert f"cannot read `{PROJECT_ROOT}/absent.csv` (No such file or directory)" in line.text
