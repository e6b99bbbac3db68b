"""HDFS: a NameNode and a DataNode from Hadoop's jars, started if `SERVICES=+hdfs` asks for them.

Everything listens on loopback; each block has one copy. Servers and clients share the configuration
in `MILLRACE_HOME/data/hdfs/core-site.xml`.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from errors import StackError
from local_stack.ports import LOOPBACK
from local_stack.service import Service
from runtime.files import write_whole
from runtime.jars import class_path
from runtime.java import Java
from runtime.versions import pinned
from settings import Settings

NAME_NODE: Final = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATA_NODE: Final = "org.apache.hadoop.hdfs.server.datanode.DataNode"
PROBE_TIMEOUT_SECONDS: Final = 2
INFO_BEAN: Final = "Hadoop:service=NameNode,name=NameNodeInfo"
LOG4J_PROPERTIES: Final = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
"""


class _HadoopService(Service):
    """What both servers share: the class path and a folder with the configuration."""

    main_class: str

    def __init__(self, settings: Settings, java: Java | None = None) -> None:
        super().__init__(settings)
        self.java = java

    @property
    def version(self) -> str:
        """Name and version."""
        return f"Apache Hadoop {pinned('jars', 'hdfs')[0].rpartition(':')[2]}"

    def command(self) -> list[str]:
        """The command that stays in the foreground."""
        return self._java(self.main_class)

    def _java(self, *arguments: str) -> list[str]:
        if self.java is None:
            raise StackError(f"{self.name} cannot start without Java; `up` finds one first.")
        scratch = self.data_path / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        # The working folder has the configuration.
        path = f".:{class_path(self.settings, 'hdfs')}"
        command = [str(self.java.executable), *self.java.options, "-Xmx256m"]
        return [*command, f"-Djava.io.tmpdir={scratch}", "-cp", path, *arguments]

    def _place(self, name: str) -> str:
        """A folder's address for the configuration.

        A DataNode treats `%20` in it as a format, so a folder whose address has such escapes is
        named relative to the process's working folder.
        """
        path = self.data_path / name
        is_plain = path.as_uri() == f"file://{path}"
        return path.as_uri() if is_plain else f"file:///proc/self/cwd/{name}"

    def _configure(self, options: Mapping[str, str]) -> None:
        common = {"fs.defaultFS": f"hdfs://{LOOPBACK}:{self.settings.hdfs_port}"}
        write_whole(self.data_path / "core-site.xml", _site(common))
        write_whole(self.data_path / "hdfs-site.xml", _site(options))
        write_whole(self.data_path / "log4j.properties", LOG4J_PROPERTIES)


class HdfsNameNode(_HadoopService):
    """The NameNode: keeps the tree of folders and files, and has the clients' port."""

    name = "hdfs"
    port_setting = "HDFS_PORT"
    inner_ports = ("web",)
    main_class = NAME_NODE

    @property
    def port(self) -> int:
        """The clients' port."""
        return self.settings.hdfs_port

    def prepare(self, ports: Mapping[str, int]) -> None:
        """Write the configuration; format the folder of the tree once."""
        tree = self.data_path / "name"
        self._configure(
            {
                "dfs.namenode.name.dir": self._place("name"),
                "dfs.namenode.http-address": f"{LOOPBACK}:{ports['web']}",
                "dfs.namenode.safemode.extension": "0",
                "dfs.namenode.datanode.registration.ip-hostname-check": "false",
                "dfs.replication": "1",
                # It is reachable only from this machine.
                "dfs.permissions.enabled": "false",
            }
        )
        if not (tree / "current" / "VERSION").exists():
            self._format()

    def is_ready(self) -> bool:
        """Whether the NameNode answers; the DataNode's check covers writing blocks."""
        return name_node_info(self) is not None

    def _format(self) -> None:
        self.run_to_its_end(
            self._java(NAME_NODE, "-format", "-nonInteractive"),
            "or remove that folder and `hdfs-datanode` next to it, which deletes every file on"
            " HDFS, and run the command again.",
        )


class HdfsDataNode(_HadoopService):
    """The DataNode: the blocks of all files."""

    name = "hdfs-datanode"
    port_setting = "HDFS_DATANODE_PORT"
    inner_ports = ("ipc", "web")
    main_class = DATA_NODE

    @property
    def port(self) -> int:
        """The port to which blocks go."""
        return self.settings.hdfs_datanode_port

    def prepare(self, ports: Mapping[str, int]) -> None:
        """Write the configuration."""
        self._configure(
            {
                "dfs.datanode.data.dir": self._place("blocks"),
                "dfs.datanode.address": f"{LOOPBACK}:{self.port}",
                "dfs.datanode.ipc.address": f"{LOOPBACK}:{ports['ipc']}",
                "dfs.datanode.http.address": f"{LOOPBACK}:{ports['web']}",
                "dfs.datanode.hostname": LOOPBACK,
            }
        )

    def is_ready(self) -> bool:
        """Whether the NameNode knows this DataNode and accepts writes."""
        info = name_node_info(HdfsNameNode(self.settings))
        return bool(info and json.loads(info["LiveNodes"]) and not info["Safemode"])


def name_node_info(name_node: HdfsNameNode) -> dict[str, Any] | None:
    """The NameNode's status, None if it does not answer."""
    port = name_node.record().get("ports", {}).get("web")
    if port is None:
        return None
    url = f"http://{LOOPBACK}:{port}/jmx?qry={INFO_BEAN}"
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_SECONDS) as answer:
            (bean,) = json.load(answer)["beans"]
    except (OSError, ValueError, KeyError):
        return None
    found: dict[str, Any] = bean
    return found


def _site(options: Mapping[str, str]) -> str:
    lines = [
        f"  <property><name>{name}</name><value>{escape(value)}</value></property>"
        for name, value in options.items()
    ]
    return "\n".join(["<configuration>", *lines, "</configuration>", ""])
