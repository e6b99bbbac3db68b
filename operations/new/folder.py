"""Writes a pipeline's folder: all of it, or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from errors import PipelineError
from runtime.surroundings import share


def write_folder(folder: Path, files: Mapping[str, str], check: Callable[[Path], None]) -> None:
    """Write files next to the folder, check them there, then give them the folder's name.

    Args:
        folder: The folder to make; it must not exist.
        files: Name -> text.
        check: Called with the folder of the same name in which the files are first; raises if they
            are not as they should be.

    Raises:
        PipelineError: It exists, or cannot be written.
    """
    try:
        if not folder.parent.exists():
            folder.parent.mkdir(parents=True)
            share(folder.parent)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as scratch:
            made = Path(scratch) / folder.name
            made.mkdir()
            for name, text in files.items():
                (made / name).write_text(text, encoding="utf-8")
            check(made)
            if folder.exists():
                raise PipelineError(f"`{folder}` exists now. Remove it, or take another name.")
            share(made)
            shutil.move(made, folder)
    except OSError as error:
        raise PipelineError(
            f"Cannot write `{folder}`: {error.strerror or type(error).__name__}. Correct the rights"
            " of that place, or PIPELINES_PATH."
        ) from error
