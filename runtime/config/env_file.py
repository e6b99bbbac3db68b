"""The file of settings: which one is read, its lines, and which of them set nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables
from pydantic_settings import DotEnvSettingsSource

from errors import SettingsError
from runtime.config.types import PROJECT_ROOT

# Names a file to read instead of `.env`, which tests that start processes need.
ENV_FILE_VARIABLE: Final = "MILLRACE_ENV_FILE"

# Pydantic reads it too: warnings about lines would come before the error that names them.
logging.getLogger("dotenv.main").setLevel(logging.ERROR)


def chosen_env_file(given: Path | None) -> Path:
    """The file that was given, or that the variable names, or `.env`.

    Raises:
        SettingsError: it cannot be read, or the variable names one that does not exist.
    """
    named = None if given else os.environ.get(ENV_FILE_VARIABLE)
    path = Path(os.path.expanduser(named)).absolute() if named else given or PROJECT_ROOT / ".env"
    if named:
        # Producers and jobs inherit it, and start in another folder.
        os.environ[ENV_FILE_VARIABLE] = str(path)
    try:
        path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise SettingsError(
                f"{ENV_FILE_VARIABLE}: there is no file `{path}`. Correct the path, or unset the"
                " variable to use `.env`."
            ) from None
    except OSError as error:
        raise SettingsError(
            f"The file of settings `{path}` cannot be read ({error.strerror}). Correct its access"
            f" rights, or let {ENV_FILE_VARIABLE} name another file."
        ) from None
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"The file of settings `{path}` is not UTF-8 in line {number}. Save it as UTF-8."
        ) from None
    return path


def values_in(path: Path) -> dict[str, str | None]:
    """Name -> value, None where a line has none.

    As in a shell, `${NAME}` stands for a variable, except in single quotes.
    """
    values: dict[str, str | None] = {}
    with path.open(encoding="utf-8") as file:
        for each in parse_stream(file):
            if each.key is None:
                continue
            is_literal = each.original.string.partition("=")[2].lstrip().startswith("'")
            value = each.value
            if value and not is_literal:
                known = {**os.environ, **values}
                value = "".join(part.resolve(known) for part in parse_variables(value))
            values[each.key] = value
    return values


class EnvFile(DotEnvSettingsSource):
    """The file of settings as `values_in` reads it; an empty value counts as absent."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        return {name.lower(): text for name, text in values_in(file_path).items() if text != ""}


def setting_line(name: str, value: str) -> str:
    """A line of the file that sets this value as it stands."""
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{text}'\n"


def line_faults(path: Path) -> list[str]:
    """A fault for each line that sets nothing; none quotes a line, as it may hold a secret."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        bindings = [*parse_stream(file)]
    faults = []
    for each in bindings:
        if not each.error and (each.key is None or each.value is not None):
            continue
        text = each.original.string
        # Empty lines before a statement belong to it.
        number = each.original.line + text[: -len(text.lstrip())].count("\n")
        quotes = ", with a quote on both sides or on none" if {*text} & {*"'\""} else ""
        faults.append(f"{path}, line {number}: expected NAME=value{quotes}")
    return faults
