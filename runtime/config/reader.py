"""Reads settings from all their sources and lists all invalid ones in one error.

Precedence: command line, environment, `.env`, secret files, defaults.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsError as UnreadableSource

from errors import SettingsError
from runtime.config.env_file import chosen_env_file, line_faults
from runtime.config.types import in_project

# Names a folder of files, each with the value of the setting whose name it has, as Docker and
# Kubernetes provide secrets.
SECRETS_VARIABLE: Final = "MILLRACE_SECRETS_DIR"

S = TypeVar("S", bound=BaseSettings)


def read_settings(
    model: type[S],
    conflicts: Callable[[S], list[str]],
    given: Mapping[str, Any],
    env_file: Path | None,
) -> S:
    """Read the settings that `model` declares.

    Args:
        model: Fields, types and defaults.
        conflicts: Returns faults that concern several settings together.
        given: Field -> value that takes precedence over all other sources.
        env_file: Read instead of `.env`.

    Raises:
        SettingsError: lists every fault: the variable, what is wrong, what to do.
    """
    sources = _sources(env_file)
    found = line_faults(sources["_env_file"])
    try:
        settings = model(**sources, **given)
    except ValidationError as error:
        found += [_fault(each) for each in error.errors()]
        found += _other_conflicts(model, conflicts, error, {**sources, **given})
    except UnreadableSource as error:
        raise SettingsError(
            f"{SECRETS_VARIABLE}: {error}: {type(error.__cause__).__name__}. The folder must hold"
            " only plain files that this user may read."
        ) from None
    else:
        found += conflicts(settings)
        if not found:
            return settings
    raise SettingsError(_all_faults(found))


def read_leniently(model: type[S], given: Mapping[str, Any], env_file: Path | None) -> S | None:
    """Like `read_settings` for a few fields; None where that would raise an error."""
    own = {name: value for name, value in given.items() if name in model.model_fields}
    try:
        return model(**_sources(env_file), **own)
    except (ValidationError, UnreadableSource, SettingsError):
        return None


def _sources(env_file: Path | None) -> dict[str, Any]:
    return {"_env_file": chosen_env_file(env_file), "_secrets_dir": _secrets_folder()}


def _secrets_folder() -> Path | None:
    named = os.environ.get(SECRETS_VARIABLE)
    if not named:
        return None
    try:
        folder = in_project(Path(named))
    except ValueError as error:
        raise SettingsError(f"{SECRETS_VARIABLE}: {error}.") from None
    try:
        is_there = folder.is_dir()
    except PermissionError:
        raise SettingsError(
            f"{SECRETS_VARIABLE}: this user cannot enter a folder above `{folder}`. Give it that"
            " right, or name another folder."
        ) from None
    if not is_there:
        raise SettingsError(
            f"{SECRETS_VARIABLE}: there is no folder `{folder}`. Name one with a file per setting,"
            " such as `pii_hash_key`, or remove the variable."
        )
    return folder


def _other_conflicts(
    model: type[S],
    conflicts: Callable[[S], list[str]],
    error: ValidationError,
    arguments: Mapping[str, Any],
) -> list[str]:
    """Conflicts between the valid settings; the invalid ones are replaced by defaults."""
    named = {str(each["loc"][0]).lower() for each in error.errors() if each["loc"]}
    faulty = named & {*model.model_fields}
    defaults = {name: model.model_fields[name].get_default() for name in faulty}
    try:
        rest = model(**{**arguments, **defaults})
    except ValidationError:
        return []
    names = [name.upper() for name in faulty]
    return [each for each in conflicts(rest) if not any(name in each for name in names)]


def _fault(error: Any) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}"


def _all_faults(faults: list[str]) -> str:
    lines = "\n".join(f"  - {fault}" for fault in faults)
    return (
        f"{len(faults)} setting(s) cannot be used:\n{lines}\n"
        "Correct them in the environment, in `.env` or on the command line;"
        " docs/settings.md lists what each one accepts."
    )
