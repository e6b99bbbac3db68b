"""Paths with any character: refused at once, or handed to servers and Spark unharmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import SettingsError
from local_stack.cassandra import Cassandra
from local_stack.hdfs import HdfsDataNode
from local_stack.kafka import Kafka
from settings import Settings, load_settings
from spark_jobs.session.session import session_conf
from spark_jobs.state.checkpoint import Checkpoint

NO_FILE = Path("no.env")
HARD_NAME = "Mes Documents é C# 50% off a,b;c [1] {d} \"e\" 'f' \\g $h &"


@pytest.mark.parametrize(("master", "local"), [("local[2]", True), ("spark://h:7077", True),
                                               ("yarn", False)])  # fmt: skip
def test_paths_without_a_scheme_are_of_this_machine(
    master: str, local: bool, tmp_path: Path
) -> None:
    conf = session_conf(Settings(_env_file=None, millrace_home=tmp_path), "x", master)

    assert (conf.get("spark.hadoop.fs.defaultFS") == "file:///") is local
    assert conf["spark.sql.warehouse.dir"] == f"file://{tmp_path}/spark/warehouse"
    assert Checkpoint(tmp_path / "a b").url == f"file://{tmp_path}/a b"
    assert Checkpoint("hdfs://name:8020/a").url == "hdfs://name:8020/a"


@pytest.mark.parametrize(
    ("setting", "path", "reason"),
    [
        ("MILLRACE_HOME", "/data/a,b", "'/data/a,b' contains a comma, at which Spark"),
        ("MILLRACE_HOME", "/data/a:b", "contains a colon, at which Java"),
        ("JARS_PATH", "/data/a:b", "contains a colon, at which Java"),
        ("OUTPUT_PATH", "/data/${user.home}", "contains `${`, which Hadoop takes for a variable"),
        ("CHECKPOINT_PATH", "/data/${a}", "contains `${`"),
        ("OUTPUT_PATH", "/data/a\nb", "contains a control character (U+000A)"),
        ("MILLRACE_HOME", "/data/a\tb", "contains a control character (U+0009)"),
        ("OUTPUT_PATH", "/data/\udce9", "contains bytes that are not UTF-8"),
    ],
)
def test_character_that_cannot_be_handed_on_is_named_at_once(
    setting: str, path: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({setting.lower(): path}, NO_FILE)

    assert f"{setting}: " in str(caught.value)
    assert reason in str(caught.value)


def test_quote_is_named_where_hdfs_would_be_below_it() -> None:
    quoted = {"millrace_home": Path("/data/it's")}

    with pytest.raises(SettingsError, match="holds `'`, with which HDFS"):
        load_settings(quoted | {"services": "+hdfs"}, NO_FILE)
    assert load_settings(quoted, NO_FILE).millrace_home == Path("/data/it's")


def test_every_other_character_of_a_path_is_taken(tmp_path: Path) -> None:
    folder = str(tmp_path / HARD_NAME)

    settings = load_settings(
        {"output_path": folder, "checkpoint_path": folder, "jars_path": Path(folder),
         "millrace_home": Path(folder.replace(",", ""))},
        NO_FILE,
    )  # fmt: skip

    assert settings.output_path == settings.checkpoints == folder


def test_brokers_configuration_holds_no_path_that_it_could_take_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kafka, "_format", lambda self: None)
    kafka = Kafka(Settings(_env_file=None, millrace_home=tmp_path / "a b é#%"))

    kafka.prepare({"client": 1, "controller": 2})

    assert "log.dirs=log\n" in (kafka.data_path / "server.properties").read_text()


@pytest.mark.parametrize(
    ("folder", "place"),
    [("plain", "file://{}/plain/data/hdfs-datanode/blocks"),
     ("50% off", "file:///proc/self/cwd/blocks")],
)  # fmt: skip
def test_hdfs_is_given_no_character_that_it_interprets(
    folder: str, place: str, tmp_path: Path
) -> None:
    node = HdfsDataNode(Settings(_env_file=None, millrace_home=tmp_path / folder))

    node.prepare({"client": 1, "ipc": 2, "web": 3})

    site = (node.data_path / "hdfs-site.xml").read_text(encoding="utf-8")
    assert f"<value>{place.format(tmp_path)}</value>" in site


def test_cassandras_configuration_has_paths_unchanged(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    home = tmp_path / HARD_NAME.replace(",", "")
    cassandra = Cassandra(Settings(_env_file=None, millrace_home=home))

    cassandra.prepare({"client": 1, "storage": 2})

    text = (cassandra.data_path / "cassandra.yaml").read_text(encoding="utf-8")
    data = str(home / "data" / "cassandra")
    assert yaml.safe_load(text)["data_file_directories"] == [f"{data}/data"]
    assert yaml.safe_load(text)["hints_directory"] == f"{data}/hints"
    options = (cassandra.data_path / "java.options").read_text(encoding="utf-8")
    assert f'"-Dcassandra.config={(cassandra.data_path / "cassandra.yaml").as_uri()}"' in options
