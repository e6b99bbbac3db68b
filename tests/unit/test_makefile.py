"""`make` without a target."""

from __future__ import annotations

import re

from tests.support.make import make_ok


def test_make_alone_lists_the_commands() -> None:
    output = make_ok()

    for command in (
        "run",
        "up",
        "down",
        "reset",
        "stream",
        "doctor",
        "status",
        "report",
        "logs",
        "show",
        "verify",
        "chaos",
        "bench",
        "cqlsh",
        "mongosh",
        "test",
        "lint",
    ):
        assert re.search(rf"^make {command} ", output, re.MULTILINE)
