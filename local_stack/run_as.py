"""Runs a server that refuses to run as root, such as PostgreSQL, if this user is root.

The first choice is a user namespace: inside it the process is `nobody`, outside it keeps root's
files but none of root's powers. If the system forbids that (containers often do), the process
really becomes `nobody`: its data folder is given to `nobody`, whose group may pass through the
folders above it and read the program.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Collection
from contextlib import suppress
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


def runner_for(data_path: Path, binaries: Path, tool: Path, homes: Collection[Path]) -> Runner:
    """The way in which this system lets programs in `binaries` run on `data_path`.

    Args:
        data_path: The folder of the data; it may be made later.
        binaries: The folder of the programs.
        tool: The folder in which they and their libraries would be installed.
        homes: State folders, in which no one else may read or pass.

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
    _let_in(account.pw_gid, data_path.parent, homes)
    _let_in(account.pw_gid, tool, homes, with_content=True)
    # The folder itself is made later, so its parent is checked.
    if _runs(*dropped, "test", "-x", str(data_path.parent)) and _runs(
        *dropped, "test", "-x", str(binaries)
    ):
        return Runner(dropped, account.pw_uid, account.pw_gid)
    raise StackError(
        "postgres refuses to run as root, and this system lets root neither make a user namespace"
        f" (`unshare --user`) nor run it as `{USER}`, who cannot reach `{data_path.parent}` or"
        f" `{binaries}`. Run Millrace as an ordinary user, or set MILLRACE_HOME to a folder"
        " below one that every user may enter."
    )


def _namespace(uid: int, gid: int) -> tuple[str, ...]:
    return ("unshare", "--user", f"--map-user={uid}", f"--map-group={gid}")


def _let_in(
    group: int, folder: Path, homes: Collection[Path], *, with_content: bool = False
) -> None:
    """Let a group pass to a folder below a state folder, and read its content if need be.

    The caller checks the result, as some systems refuse.
    """
    if not folder.exists():
        return
    way = [p for p in (folder, *folder.parents) if any(p.is_relative_to(home) for home in homes)]
    content = [*folder.rglob("*")] if with_content else []
    for path in (*way, *content):
        mode = stat.S_IMODE(path.lstat().st_mode)
        needed = 0o010 if path in way else mode >> 3 & 0o050
        # What everyone may do already stays as it is; a link has no mode of its own.
        if mode & needed >> 3 != needed >> 3 and not path.is_symlink():
            with suppress(OSError):
                os.chown(path, -1, group)
                path.chmod(mode | needed)


@cache
def _runs(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    outcome = subprocess.run(
        command, capture_output=True, timeout=PROBE_TIMEOUT_SECONDS, check=False
    )
    return outcome.returncode == 0
