"""Checks of this machine: state folder, ports, Docker, clock, hash key."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pymongo.errors import PyMongoError

from local_stack.bootstrap import LATER_BYTES
from local_stack.compose import what_is_missing
from local_stack.secret_files import secrets_folder
from local_stack.service import Service
from local_stack.stack import services
from operations.doctor.check import Fault, Line, line_of
from operations.doctor.endpoints import absence, mongodb_endpoint
from operations.pipelines import last_entries
from runtime import remedies
from runtime.jars import is_complete
from settings import PROJECT_ROOT, Settings
from spark_jobs.sinks.mongodb import confirmed_database, connect_mongodb
from spark_jobs.state.acceptance import ACCEPT_CLOCK
from spark_jobs.state.clock import Moment, in_words, tolerance

# Enough for services and checkpoints once jars and shells are fetched.
ROOM_BYTES: Final = 500 * 1000 * 1000
# Synchronised clocks differ by much less.
CLOCK_SECONDS: Final = 60.0
SHORT_SECONDS: Final = 3.0


def look_at_state(settings: Settings) -> list[Line]:
    """Whether the state folder can be written to and has room."""
    home = settings.millrace_home
    needed = ROOM_BYTES if is_complete(settings, "spark") else LATER_BYTES
    faults = list(folder_faults(home, "MILLRACE_HOME", needed))
    return [line_of("disk", faults, f"{free_bytes(home) / 1e9:.0f} GB free for {home}")]


def existing(path: Path) -> Path:
    """The path, or its nearest parent that exists, as far as this user can see."""
    return next(each for each in (path, *path.parents) if _is_seen(each))


def _is_seen(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # below a folder that this user cannot enter
        return False


def free_bytes(path: Path) -> int:
    """Free space on the disk where the path is, or will be."""
    return shutil.disk_usage(existing(path)).free


def folder_faults(path: Path, setting: str, needed: int = ROOM_BYTES) -> Iterator[Fault]:
    """Why files cannot be written below a folder, which need not exist yet."""
    there, free = existing(path), free_bytes(path)
    if not there.is_dir():
        yield Fault(f"`{there}` is a file, not a folder: move it, or correct {setting}")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Fault(f"`{there}` cannot be written to: `chmod` or `chown` it, or set {setting}")
    elif free < needed:
        yield Fault(
            f"{free / 1e9:.1f} GB free for `{path}`, {needed / 1e9:.1f} GB needed: free some space,"
            f" or set {setting} to a larger disk"
        )


def look_at_ports(settings: Settings) -> list[Line]:
    """Whether the ports of the embedded services are free, or in use by these services."""
    everything = services(settings, report=lambda text: None)
    faults = list(port_faults(everything))
    ports = ", ".join(f"{service.name} {service.port}" for service in everything)
    return [line_of("ports", faults, ports)]


def port_faults(everything: Sequence[Service]) -> Iterator[Fault]:
    """What keeps services from starting: ports in use, servers left behind."""
    for service in everything:
        yield from map(Fault, service.hindrances())


def look_at_docker(settings: Settings) -> list[Line]:
    """Whether docker/compose.yaml can be used on this machine."""
    reason = what_is_missing(SHORT_SECONDS)
    fault = Fault(f"{reason}: install or start it, or set STACK=embedded, which needs no Docker")
    return [line_of("docker", [fault] if reason else [], "Compose and an engine answer")]


def look_at_clock(settings: Settings) -> list[Line]:
    """Whether the clock agrees with this checkout's files, the ledger and MongoDB."""
    now = Moment.now()
    made = datetime.fromtimestamp((PROJECT_ROOT / "pyproject.toml").stat().st_mtime, UTC)
    skew, moments = timedelta(), list[Moment]()
    if absence(mongodb_endpoint(settings), settings) is None:
        # If MongoDB refuses, its own line says so.
        with suppress(PyMongoError):
            skew, moments = _asked_mongodb(settings)
    faults = list(clock_faults(now, made, moments, skew, settings.deduplication_days))
    return [line_of("clock", faults, f"{now.wall:%Y-%m-%dT%H:%M:%SZ}")]


def _asked_mongodb(settings: Settings) -> tuple[timedelta, list[Moment]]:
    """How far this clock is ahead of MongoDB's, and when the last batches were confirmed."""
    with connect_mongodb(settings, SHORT_SECONDS) as client:
        answer = client.admin.command("hello", codec_options=client.codec_options)
        now = datetime.now(UTC)
        database = confirmed_database(client, settings)
        moments = [entry.moment for entry in last_entries(settings, database) if entry.moment]
    return now - answer.get("localTime", now), moments


def clock_faults(
    now: Moment, made: datetime, batches: Sequence[Moment], skew: timedelta, days: int
) -> Iterator[Fault]:
    """Signs that the clock is wrong.

    Args:
        now: The present time and uptime.
        made: When this checkout was made.
        batches: When the last batches were confirmed.
        skew: How far the clock is ahead of MongoDB's.
        days: How many days ids are remembered.
    """
    right = "correct it (`date`; `timedatectl set-ntp true`)"
    if made - now.wall > timedelta(seconds=CLOCK_SECONDS):
        yield Fault(f"it says {now.wall:%Y-%m-%d}, before this checkout was made: {right}")
    newest = max((batch.wall for batch in batches), default=now.wall)
    if newest - now.wall > timedelta(seconds=CLOCK_SECONDS):
        yield Fault(f"it is {_text(newest - now.wall)} behind the last batch: {right}")
    ahead = max((batch.time_ahead(now) for batch in batches), default=timedelta())
    if ahead > tolerance(days):
        yield Fault(
            f"it has moved {in_words(ahead)} more than the uptime since the last batch: {right},"
            f" or, if it is right, start with `{remedies.run(ACCEPT_CLOCK)}`"
        )
    if abs(skew.total_seconds()) > CLOCK_SECONDS:
        where = "ahead of" if skew > timedelta() else "behind"
        yield Fault(f"it is {_text(abs(skew))} {where} MongoDB's: {right}, here or there")


def _text(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    return f"{seconds:.0f} s" if seconds < 7200 else in_words(duration)


def look_at_key(settings: Settings) -> list[Line]:
    """Whether there is a hash key that other users cannot read."""
    path = settings.millrace_home / "pii_hash_key"
    if settings.pii_hash_mode == "sha256":
        return [line_of("key", [], "none is needed (PII_HASH_MODE=sha256)")]
    if settings.pii_hash_key is not None:
        return [line_of("key", [], "PII_HASH_KEY is set")]
    if settings.stack != "embedded":
        remedy = "set it to a long random text, such as `openssl rand -hex 32` prints, and keep it"
        if settings.stack == "docker":
            folder = secrets_folder(settings.millrace_home)
            remedy = f"`make secrets` makes one; jobs read it with MILLRACE_SECRETS_DIR={folder}"
        return [line_of("key", [Fault(f"PII_HASH_KEY is missing: {remedy}")], "")]
    if not path.exists():
        return [line_of("key", [], "the first start makes one")]
    return [line_of("key", list(key_faults(path)), str(path))]


def key_faults(path: Path) -> Iterator[Fault]:
    """What is wrong with the key's file."""
    state = path.stat()
    if not os.access(path, os.R_OK):
        yield Fault(f"`{path}` cannot be read: `chown` it to the user who runs the jobs")
    elif not path.read_text(encoding="utf-8").rstrip("\r\n"):
        yield Fault(f"`{path}` is empty: put the former key into it; if there was none, delete it")
    if stat.S_IMODE(state.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        yield Fault(f"`{path}` is open to other users: `chmod 600 {path}`")
