"""Turns errors of the file system into messages for users."""

from __future__ import annotations

import errno

from errors import JobError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
FOLDERS = "MILLRACE_HOME, OUTPUT_PATH, CHECKPOINT_PATH"


def file_error(error: OSError) -> JobError | None:
    """The user's version of an error of the file system; None if it is not a common one."""
    what = f"{error.strerror}: `{error.filename}`" if error.filename else str(error.strerror)
    if error.errno in NO_ROOM:
        return JobError(f"{what}. Free some space there, or set another folder: {FOLDERS}.")
    if not error.filename:
        return None
    if error.errno in NO_RIGHT:
        return JobError(f"{what}. Let this user write there, or set another folder: {FOLDERS}.")
    if error.errno in NO_FOLDER:
        return JobError(
            f"{what}. A folder is needed there: remove the file in its place, or set another"
            f" folder: {FOLDERS}."
        )
    return None
