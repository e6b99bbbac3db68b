"""Texts that match a pattern: all of them, each once, within lengths."""

from __future__ import annotations

import re
from itertools import product
from random import Random

import pytest

from producers.pattern_texts import NoText, PatternTexts


def every(pattern: str, least: int = 0, most: int | None = None) -> list[str]:
    texts = PatternTexts(pattern, least, most)
    return [texts.text(length, n) for length, size in texts.sizes.items() for n in range(size)]


@pytest.mark.parametrize(
    ("pattern", "least", "most", "expected"),
    [
        ("[ab]{1,2}", 0, None, ["a", "b", "aa", "ab", "ba", "bb"]),
        ("x?y?", 0, None, ["", "x", "y", "xy"]),
        ("(?:EU|US)-[01]", 0, None, ["EU-0", "EU-1", "US-0", "US-1"]),
        # However many ways lead to a text, it is counted once.
        ("(a|a|ab|b)*", 0, 2, ["", "a", "b", "aa", "ab", "ba", "bb"]),
        ("[ab]+", 2, 2, ["aa", "ab", "ba", "bb"]),
        ("(?P<x>a)b{2}c*?", 0, 4, ["abb", "abbc"]),
        ("a(?:bc)*", 2, 5, ["abc", "abcbc"]),
        ("a$|^b", 0, None, ["a", "b"]),
        (r"\.\\[\-\]]", 0, None, [".\\-", ".\\]"]),
        ("[^a-zA-Z0-9_\\-.~!$&+,;=:@/?#%*()\\[\\]{}<>|'\"^`\\\\]", 0, None, [" "]),
        ("[а-в]", 0, None, ["а", "б", "в"]),
    ],
)
def test_each_text_has_one_number(
    pattern: str, least: int, most: int | None, expected: list[str]
) -> None:
    found = every(pattern, least, most)

    assert sorted(found) == sorted(expected)
    assert [len(text) for text in found] == sorted(len(text) for text in found)


def test_all_texts_of_a_language_are_found() -> None:
    pattern = "(?:a|bc?)+(?:ca|b){0,2}"
    letters = ("".join(text) for n in range(8) for text in product("abc", repeat=n))

    assert sorted(every(pattern, 0, 7)) == sorted(t for t in letters if re.fullmatch(pattern, t))


@pytest.mark.parametrize(
    "pattern",
    [
        ".{3,9}", r"\d{3}-\w+\s\S", r"[^@\s]+@[^@\s]+\.(?:com|org)", "[A-Za-z0-9+/]{1000}",
        r"\W\D", "(?i)abc", "[^x]y", "a++b", "[0-9a-f]{128}", ".{1,4000}", r"[\d_]{2}",
    ],
)  # fmt: skip
def test_any_text_matches(pattern: str) -> None:
    rng, texts = Random(1), PatternTexts(pattern)

    assert all(re.fullmatch(pattern, texts.any(rng)) for _ in range(50))


def test_sizes_are_exact_beyond_64_bits() -> None:
    assert PatternTexts("[0-9a-f]{32}").sizes == {32: 16**32}


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("[a-z]{3}", 4, None),
        ("[a-z]{3}", 0, 2),
        ("(?:.{1,200}){1,200}", 0, None),
        # A state for each subset of the last thirty characters.
        ("[ab]*a[ab]{30}", 0, None),
    ],
)
def test_without_texts_or_with_too_many_states_there_is_an_error(
    pattern: str, least: int, most: int | None
) -> None:
    with pytest.raises(NoText):
        PatternTexts(pattern, least, most)
