"""Files that take longest are run first, and the tests of a file stay together."""

from __future__ import annotations

from types import SimpleNamespace

from settings import PROJECT_ROOT
from tests.support.order import LONGEST, longest_first

TESTS = PROJECT_ROOT / "tests"


def test_every_file_that_is_named_is_there_once() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
    assert len({*LONGEST}) == len(LONGEST)


def test_long_files_come_first_then_those_with_many_tests_and_none_is_mixed() -> None:
    first, second = (TESTS / name for name in LONGEST[:2])
    few, many, more = (TESTS / f"unit/test_{name}.py" for name in ("few", "many", "more"))
    paths = (few, more, many, second, more, first, many, second, first)
    items = [SimpleNamespace(path=path, name=f"{number}") for number, path in enumerate(paths)]

    longest_first(items)

    assert [item.name for item in items] == ["5", "8", "3", "7", "2", "6", "1", "4", "0"]
