"""A real NameNode and DataNode for the tests that ask for them, and Hadoop's own reader."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.hdfs import HdfsDataNode, HdfsNameNode
from runtime.jars import class_path, ensure_jars
from runtime.java import find_java
from settings import Settings
from tests.conftest import free_ports


@contextmanager
def running_hdfs(stack_settings: Settings, home: Path) -> Iterator[Settings]:
    """Settings that write to an HDFS of its own in `home`, which ends with the block."""
    (home / "jars").symlink_to(stack_settings.millrace_home / "jars")
    port, datanode_port = free_ports(2)
    settings = stack_settings.model_copy(
        update={
            "millrace_home": home,
            "hdfs_port": port,
            "hdfs_datanode_port": datanode_port,
            "output_path": f"hdfs://127.0.0.1:{port}/out",
        }
    )
    java = find_java(settings)
    ensure_jars(settings, ["hdfs"], print, java)
    services = [HdfsNameNode(settings, java), HdfsDataNode(settings, java)]
    try:
        for service in services:
            service.start()
        for service in services:
            service.wait_ready()
        yield settings
    finally:
        for service in reversed(services):
            service.stop()


def copy_from_hdfs(settings: Settings, path: str, target: Path) -> None:
    """What `hdfs dfs -get` does: a folder with all its files, by Hadoop's own shell."""
    java = find_java(settings)
    configuration = HdfsNameNode(settings).data_path
    command = [
        str(java.executable), *java.options,
        "-cp", f"{configuration}:{class_path(settings, 'hdfs')}",
        "org.apache.hadoop.fs.FsShell", "-copyToLocal", path, str(target),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
