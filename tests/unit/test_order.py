"""Files that take longest are run first, and the tests of a file stay together."""

from __future__ import annotations

from types import SimpleNamespace

from settings import PROJECT_ROOT
from tests.support.order import LONGEST, longest_first

TESTS = PROJECT_ROOT / "tests"


def test_every_file_that_is_named_is_there_once() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
    assert len({*LONGEST}) == len(LONGEST)


def test_long_files_come_first_and_the_others_keep_their_order() -> None:
    short, second, first = (
        TESTS / name for name in ("integration/test_cql.py", LONGEST[1], LONGEST[0])
    )
    items = [
        SimpleNamespace(path=path, name=f"{number}")
        for number, path in enumerate((short, second, short, first, second, first))
    ]

    longest_first(items)

    assert [item.name for item in items] == ["3", "5", "1", "4", "0", "2"]
