"""Names given to `make` that are like those of its values, but none: `make reset PIPELIN=x`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from errors import SettingsError

# The Makefile hands its values over with this prefix, and the names that were given as these words.
PREFIX: Final = "ARG_"
GIVEN: Final = "GIVEN_NAMES"
LEAST_LIKENESS: Final = 0.8


def refuse_misspelt(environment: Mapping[str, str], settings: Iterable[str]) -> None:
    """Refuse a name that only a slip of the pen can be, as `make` would ignore it.

    Args:
        environment: What the Makefile has set.
        settings: The names of all settings, which `make` hands over as they are.

    Raises:
        SettingsError: lists such names, each with the one that was probably meant.
    """
    values = {name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX)}
    unknown = {*environment.get(GIVEN, "").split()} - values - {each.upper() for each in settings}
    found = [
        f"`{name}=`: `make` has no such value. Did you mean `{like[0]}=`?"
        for name in sorted(unknown)
        if (like := difflib.get_close_matches(name.upper(), values, 1, LEAST_LIKENESS))
    ]
    if found:
        raise SettingsError("\n".join([*found, "Nothing was changed."]))
