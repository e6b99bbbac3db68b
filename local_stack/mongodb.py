"""MongoDB: `mongod` if the machine has one, else SecantusDB, which speaks its wire protocol."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pymongo import MongoClient, uri_parser
from pymongo.errors import PyMongoError

from errors import StackError
from local_stack.ports import loopback_port
from local_stack.service import Service
from runtime.files import write_whole
from runtime.versions import installed_version

PROBE_TIMEOUT_MILLISECONDS: Final = 1000
CACHE_SIZE_MB: Final = 256
# Name of the replica set, if there are several servers.
REPLICA_SET: Final = "millrace"


class MongoDB(Service):
    """The document store of the embedded stack.

    Writes with `w=majority, journal=true` survive `kill -9`; other writes may not.
    """

    name = "mongodb"
    port_setting = "MONGO_URI"

    @property
    def port(self) -> int:
        """The clients' port."""
        uri = self.settings.mongo_uri.get_secret_value()
        if uri.startswith("mongodb+srv://"):
            return loopback_port("mongodb+srv://…", self.port_setting)
        nodes = uri_parser.parse_uri(uri)["nodelist"]
        addresses = ",".join(f"{host}:{port}" for host, port in nodes)
        return loopback_port(addresses, self.port_setting, self.node.host)

    @property
    def version(self) -> str:
        """Name and version."""
        if mongod := self._mongod():
            return f"MongoDB {_mongod_version(mongod)}"
        version = installed_version("secantusdb") or "not installed"
        return f"SecantusDB {version} (stand-in for mongod)"

    def ensure_installed(self) -> None:
        """Check that a server of either kind is installed.

        Raises:
            StackError: there is none; the text says how to install one.
        """
        if not self._mongod() and not _stand_in().exists():
            raise StackError(
                "There is no `mongod` on PATH, and its stand-in SecantusDB is not installed"
                f" (`{_stand_in()}`). Remove `.venv`, and the next `make` command installs it;"
                " without a `.venv`, use `pip install -e '.[embedded]'`."
            )

    def prepare(self, ports: Mapping[str, int]) -> None:
        """Make the server's data folder; the two kinds cannot read each other's files."""
        self._store_path().mkdir(parents=True, exist_ok=True)
        # Without this file the stand-in would look for one in the user's folders.
        write_whole(self.data_path / "secantusd.toml", "")

    def command(self) -> list[str]:
        """The command that stays in the foreground."""
        if mongod := self._mongod():
            command = [mongod, "--bind_ip", self.node.host, "--port", str(self.port)]
            command += ["--dbpath", str(self._store_path()), "--nounixsocket", "--quiet"]
            command += [] if self.node.is_alone else ["--replSet", REPLICA_SET]
            return [*command, "--wiredTigerCacheSizeGB", str(CACHE_SIZE_MB / 1024)]
        command = [str(_stand_in()), "--config", str(self.data_path / "secantusd.toml")]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "WARNING"]
        return [
            *command,
            "--storage-path",
            str(self._store_path()),
            "--cache-size",
            f"{CACHE_SIZE_MB}M",
        ]

    def is_ready(self) -> bool:
        """Whether the server answers a ping."""
        client: MongoClient[dict[str, object]] = MongoClient(
            self.settings.mongo_uri.get_secret_value(),
            serverSelectionTimeoutMS=PROBE_TIMEOUT_MILLISECONDS,
        )
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
        finally:
            client.close()
        return True

    def _store_path(self) -> Path:
        return self.data_path / ("mongod" if self._mongod() else "secantusdb")

    def _mongod(self) -> str | None:
        # A mongod installed later must not hide what the stand-in stored; after its folder is
        # removed, mongod is used.
        kept = (self.data_path / "secantusdb").exists() and not (self.data_path / "mongod").exists()
        return None if kept else shutil.which("mongod")


def _stand_in() -> Path:
    return Path(sys.executable).with_name("secantusd-py")


def _mongod_version(mongod: str) -> str:
    answer = subprocess.run(
        [mongod, "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    found = re.search(r"v(\d+\.\d+\.\d+)", answer.stdout)
    return found[1] if found else "of unknown version"
