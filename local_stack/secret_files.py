"""Keys and passwords for the containers, in files that docker/compose.yaml mounts as secrets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from runtime.config.addresses import POSTGRES_PORT, postgres_port
from runtime.files import write_whole
from settings import PROJECT_ROOT, Settings

SECRET_BYTES: Final = 32
# Containers run as different users, and Compose mounts files with the modes that they have here: so
# others may read the files, but on this machine they cannot enter the folder.
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o644
FOR_CONTAINERS: Final = "containers"
# Prometheus and Grafana read these files of the checkout, as users of their own.
MOUNTED: Final = PROJECT_ROOT / "docker" / "monitoring"
ALL_MAY_READ: Final = 0o444


def secrets_folder(home: Path) -> Path:
    """The folder of the files; `MILLRACE_SECRETS_DIR` for programs on this machine."""
    return home / "secrets"


def make_secret_files(settings: Settings, report: Callable[[str], object]) -> None:
    """Write the missing files; existing ones are left unchanged."""
    let_containers_read()
    folder = secrets_folder(settings.millrace_home)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    for name in ("pii_hash_key", "dashboard_password"):
        _keep(folder / name, _given(settings, name), report)
    password = _keep(folder / "postgres_password", _random(), report)
    login = f"postgresql://millrace:{password}"
    port = postgres_port(settings.postgres_dsn)
    _keep(folder / "postgres_dsn", f"{login}@127.0.0.1:{port}/millrace", report)
    # Without TLS, as the two containers share a private network on this machine.
    inner = f"{login}@postgres:{POSTGRES_PORT}/millrace?sslmode=disable"
    _keep(folder / FOR_CONTAINERS / "postgres_dsn", inner, report)
    key = "aws_secret_access_key"
    _keep(folder / FOR_CONTAINERS / key, _given(settings, key), report)


def let_containers_read(folder: Path = MOUNTED) -> None:
    """Give files that containers mount the modes that a checkout under umask 077 has not."""
    for path in folder.glob("*"):
        if (mode := path.stat().st_mode) & ALL_MAY_READ != ALL_MAY_READ:
            path.chmod(mode | ALL_MAY_READ)


def _keep(path: Path, value: str, report: Callable[[str], object]) -> str:
    """The value in the file, which is written if it does not exist."""
    if path.exists():
        report(f"{path}: exists already")
        return path.read_text().strip()
    write_whole(path, value + "\n")
    # The process's umask may have removed the right to read.
    path.parent.chmod(FOLDER_MODE)
    path.chmod(FILE_MODE)
    report(f"{path}: created")
    return value


def _given(settings: Settings, name: str) -> str:
    """A setting's value, a random one if it is not set."""
    given: SecretStr | None = getattr(settings, name)
    return given.get_secret_value() if given else _random()


def _random() -> str:
    return secrets.token_hex(SECRET_BYTES)
