"""Errors of the file system in words for users, for the mains."""

from __future__ import annotations

import errno

from errors import JobError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
FOLDERS = "MILLRACE_HOME, OUTPUT_PATH, CHECKPOINT_PATH"


def file_error(error: OSError) -> JobError | None:
    """What to do about an error of the file system; None where it is none of the usual ones."""
    what = f"{error.strerror}: `{error.filename}`" if error.filename else str(error.strerror)
    if error.errno in NO_ROOM:
        return JobError(f"{what}. Make room there, or name another folder: {FOLDERS}.")
    if not error.filename:
        return None
    if error.errno in NO_RIGHT:
        return JobError(f"{what}. Let this user write there, or name another folder: {FOLDERS}.")
    if error.errno in NO_FOLDER:
        return JobError(
            f"{what}. A folder is needed there: remove what is in its place, or name another one:"
            f" {FOLDERS}."
        )
    return None
