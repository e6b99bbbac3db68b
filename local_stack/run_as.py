"""Runs a server that refuses to run as root, such as PostgreSQL, if this user is root.

The first choice is a user namespace: inside it the process is `nobody`, outside it keeps root's
files but none of root's powers. If the system forbids that (containers often do), the process
really becomes `nobody`, and its data folder is given to `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from errors import StackError

USER: Final = "nobody"
PROBE_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True)
class Runner:
    """How to start a program as a user other than root.

    Attributes:
        prefix: The command that precedes the program and its arguments, and executes them.
        uid: Owner of the program's files; None if they stay this user's.
        gid: The same for the group.
    """

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give a file, or a folder with its content, to the program's user."""
        if os.geteuid():
            return
        uid, gid = self.uid or 0, self.gid or 0
        for each in (path, *path.rglob("*")):
            if (found := each.lstat()).st_uid != uid or found.st_gid != gid:
                os.chown(each, uid, gid, follow_symlinks=False)


def runner_for(data_path: Path, binaries: Path) -> Runner:
    """The way in which this system lets programs in `binaries` run on `data_path`.

    Raises:
        StackError: this user is root, and no other user could reach both.
    """
    if os.geteuid():
        return Runner()
    account = pwd.getpwnam(USER)
    inside = _namespace(account.pw_uid, account.pw_gid)
    if _runs(*inside, "true"):
        return Runner(inside)
    dropped = (
        "setpriv",
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
    )
    # The folder itself is made later, so its parent is checked.
    if _runs(*dropped, "test", "-x", str(data_path.parent)) and _runs(
        *dropped, "test", "-x", str(binaries)
    ):
        return Runner(dropped, account.pw_uid, account.pw_gid)
    raise StackError(
        "postgres refuses to run as root, and this system lets root neither make a user namespace"
        f" (`unshare --user`) nor run it as `{USER}`, who cannot reach `{data_path.parent}` or"
        f" `{binaries}`. Run Millrace as an ordinary user, or set MILLRACE_HOME to a folder that"
        " every user may enter."
    )


def _namespace(uid: int, gid: int) -> tuple[str, ...]:
    return ("unshare", "--user", f"--map-user={uid}", f"--map-group={gid}")


@cache
def _runs(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    outcome = subprocess.run(
        command, capture_output=True, timeout=PROBE_TIMEOUT_SECONDS, check=False
    )
    return outcome.returncode == 0
