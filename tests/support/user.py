"""Someone who types the platform's commands, with an `.env` of their own, on the test stack."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest

from operations.pipelines import read_topic
from settings import ENV_FILE_VARIABLE, PROJECT_ROOT, Settings
from spark_jobs.sources.topics import ensure_topics

TOPICS = {
    f"{field}_topic".upper(): Settings.model_fields[f"{field}_topic"].default
    for field in ("tickets", "profiles", "customers", "customers_usa", "customers_alerts")
}


@dataclass(frozen=True)
class Record:
    """A message whose value is a JSON object."""

    key: str
    value: dict[str, Any]
    partition: int
    at: datetime


@dataclass(frozen=True)
class User:
    """Topics, state folder, database and output folder of no other test, named in the `.env`."""

    stack: Settings
    folder: Path
    lines: dict[str, str]

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def run(self, command: str, **environment: str) -> str:
        """Run a command as it is typed in the project's folder; gives its standard output."""
        # What stands in the `.env` must come from there.
        inherited = {name: v for name, v in os.environ.items() if name not in self.lines}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            shlex.split(command),
            cwd=PROJECT_ROOT,
            env=inherited | {"PATH": programs, ENV_FILE_VARIABLE: str(self.env_file)} | environment,
            capture_output=True,
            text=True,
            # With downloads of connectors.
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    def produce(self, command: str) -> int:
        """Run a producer; gives the `sent=` of its last line, which the broker has confirmed."""
        last = self.run(command).splitlines()[-1]
        counts = {name: int(n) for name, n in (word.split("=") for word in last.split())}
        assert counts == {"sent": counts["sent"], "delivered": counts["sent"], "failed": 0}
        return counts["sent"]

    def records(self, topic_setting: str) -> list[Record]:
        """What is on a topic."""
        return [
            Record(
                m.key().decode(),
                json.loads(m.value()),
                m.partition(),
                datetime.fromtimestamp(m.timestamp()[1] / 1000, UTC),
            )
            for m in read_topic(self.stack, self.lines[topic_setting])
        ]

    def documents(self, collection: str) -> list[dict[str, Any]]:
        """A collection of the user's database."""
        with pymongo.MongoClient[dict[str, Any]](self.stack.mongo_uri.get_secret_value()) as client:
            return list(client[self.lines["MONGO_DATABASE"]][collection].find())


MakeUser = Callable[..., User]


@pytest.fixture
def make_user(stack_settings: Settings, tmp_path: Path) -> MakeUser:
    """Makes a user whose `.env` has these lines too, and the topics that are read."""

    def make(*, reads: str, **lines: str) -> User:
        mark = uuid.uuid4().hex[:10]
        user = User(
            stack_settings,
            tmp_path,
            {
                "MILLRACE_HOME": str(tmp_path / "home"),
                "MONGO_DATABASE": f"t{mark}",
                "OUTPUT_PATH": str(tmp_path / "output"),
                "SPARK_MASTER": "local[2]",
                **{setting: f"{name}-{mark}" for setting, name in TOPICS.items()},
                **lines,
            },
        )
        user.env_file.write_text("".join(f"{name}={v}\n" for name, v in user.lines.items()))
        ensure_topics(stack_settings, [user.lines[reads]])
        return user

    # Topics and databases stay: the stack and all its data go with the tests.
    return make
