"""What a refused start offers is pasted into a shell, and does what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import psycopg

from settings import ENV_FILE_VARIABLE, PROJECT_ROOT
from tests.support.postgres import MakeDatabase
from tests.support.user import MakeUser, User, make_user

__all__ = ["make_user"]

JOB = ".venv/bin/python -m spark_jobs.tickets --available-now"
BEFORE, WIDER = "mongodb,files", "mongodb,files,postgres"


def typed(user: User, command: str, **environment: str) -> tuple[int, str]:
    """What a shell makes of a command: exit code and all that is printed."""
    # What stands in the `.env`, or before the command, must come from there.
    inherited = {n: v for n, v in os.environ.items() if n not in {*user.lines, "SINKS"}}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=PROJECT_ROOT,
        env=inherited
        | {ENV_FILE_VARIABLE: str(user.env_file), "MAKEFLAGS": f"PYTHON={sys.executable}"}
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def choices(said: str) -> list[str]:
    """The commands of a finding, in its order."""
    return re.findall(r"`((?:[A-Z_]+=\S+ )*(?:\.venv/bin/|make )[^`]*)`", said)


def stored(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM tickets").fetchall()
    return int(rows)


def test_sink_is_added_dropped_and_reset_by_what_the_messages_offer(
    make_user: MakeUser, make_database: MakeDatabase
) -> None:
    dsn = make_database().get_secret_value()
    user = make_user(
        reads="TICKETS_TOPIC", STACK="external", SINKS=BEFORE, POSTGRES_DSN=shlex.quote(dsn)
    )
    sent = user.produce(f"{sys.executable} -m producers.tickets --count 20 --rate 0")
    assert typed(user, JOB)[0] == 0

    code, said = typed(user, JOB, SINKS=WIDER)
    assert code == 1
    as_before, replay, reset = choices(said)
    assert "postgres would lack the 20 stored records." in said
    assert as_before == JOB or as_before.endswith(f" {JOB}")
    code, said = typed(user, replay)
    assert (code, stored(dsn)) == (0, sent), said
    assert typed(user, f"SINKS={WIDER} {JOB}")[0] == 0

    code, said = typed(user, JOB)
    assert code == 1
    assert "postgres would be dropped" in said
    with_postgres, _ = choices(said)
    code, said = typed(user, with_postgres)
    assert code == 0, said

    # It was built before PostgreSQL was in the ledger, and empties it all the same.
    code, said = typed(user, f"{reset} YES=1")
    assert (code, stored(dsn)) == (0, 0), said
    assert user.documents("batches") == []
    assert not [*Path(user.output).glob("tickets_with_assignment/**/*.parquet")]
