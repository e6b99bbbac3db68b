"""A contract takes the patterns that mean the same in Python and in Java, where Spark runs them."""

from __future__ import annotations

from typing import Any

import pytest

from errors import ContractError
from schemas.contract import contract_from
from schemas.patterns import safe_length


def pattern_of(pattern: str) -> str | None:
    """The pattern as Spark gets it, of a field and of an array's elements."""
    text: dict[str, Any] = {"type": "string", "pattern": pattern}
    public = {"x-sensitivity": "public"}
    fields = {"code": text | public, "codes": {"type": "array", "items": text} | public}
    contract = contract_from("small", {"type": "object", "properties": fields})
    items = contract.field("codes").items
    assert items is not None
    assert items.pattern == contract.field("code").pattern
    return items.pattern


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("^[A-Z]{,10}$", "write `{0,5}` for `{,5}`, and `\\{` for a brace"),
        ("^a{,}$", "write `{0,5}` for `{,5}`"),
        ("^{[a-z]+}$", "`\\{` for a brace"),
        ("^a{2$", "`{` without a count, which Java refuses"),
        ("^a{2,x}$", "`{` without a count"),
        ("^(?x:a{2 })$", "`{` without a count"),
        (r"^[0-9]+ ?\$", "must begin with `^` and end with `$` (`\\$` is a dollar sign)"),
        (r"^a\\\$", "must begin with `^` and end with `$`"),
        ("^[a-z]+(?#c)$", "write it as the field's `$comment`"),
        ("^(?a:x)$", "leave the `a` out"),
        ("^(?ia:x)$", "leave the `a` out"),
        ("^[a[b]$", "begins a class of its own in Java; write `\\["),
        ("^[[a]$", "write `\\["),
        ("^[^[]$", "write `\\["),
        ("^[]a[]$", "write `\\["),
        ("^[!-[]$", "write `\\["),
        ("^[&&a]$", "is an intersection in Java; write `&` once"),
        ("^[a-z&&b]$", "is an intersection in Java; write `&` once"),
        (r"^[\b]$", "write `\\x08`"),
        (r"^a\va$", "write `\\x0b`"),
        (r"^[\v]$", "write `\\x0b`"),
        (r"^\0$", "in hexadecimal"),
        (r"^\0123$", "in hexadecimal"),
        (r"^(a)\101$", "in hexadecimal"),
        (r"^[\1]$", "in hexadecimal"),
        (r"^[\101]$", "in hexadecimal"),
        (r"^\U0001F600$", "write the character itself"),
        ("^(?x:[ a])$", "write it without `x`"),
        (r"^a\Z$", "which only Python knows"),
        ("^(a)?(?(1)b|c)$", "which only Python knows"),
    ],
)
def test_a_pattern_that_java_refuses_or_reads_otherwise_says_what_to_write(
    pattern: str, advice: str
) -> None:
    with pytest.raises(ContractError) as caught:
        pattern_of(pattern)

    lines = str(caught.value).splitlines()
    for place in ("`code`: `pattern`", "`codes`: `items`: `pattern`"):
        assert [line for line in lines if place in line and advice in line], lines


@pytest.mark.parametrize(
    ("pattern", "without_anchors"),
    [
        ("^a{3}$", "a{3}"),
        ("^a{2,}$", "a{2,}"),
        ("^a{2,5}?$", "a{2,5}?"),
        ("^a{2}+b++(?>c)$", "a{2}+b++(?>c)"),
        ("^a{02}$", "a{02}"),
        (r"^\{[a-z]+\}$", r"\{[a-z]+\}"),
        ("^a}]$", "a}]"),
        ("^[{}]{1,2}$", "[{}]{1,2}"),
        ("^[{,5}(?#]$", "[{,5}(?#]"),
        (r"^[a\[b]$", r"[a\[b]"),
        ("^[]a]$", "[]a]"),
        ("^[^]a]$", "[^]a]"),
        (r"^\[[a-z]\]$", r"\[[a-z]\]"),
        ("^[a&b]&&[&]$", "[a&b]&&[&]"),
        (r"^[a&\&b]$", r"[a&\&b]"),
        ("^[!-&&]$", "[!-&&]"),
        (r"^[0-9]+ ?\$$", r"[0-9]+ ?\$"),
        (r"^a\\$", r"a\\"),
        (r"^\\Z$", r"\\Z"),
        (r"^\\{2}$", r"\\{2}"),
        (r"^\(?#$", r"\(?#"),
        (r"^(a)\1\b$", r"(a)\1\b"),
        (r"^\01\012\07$", r"\01\012\07"),
        (r"^\N{DIGIT ONE}[\N{DIGIT TWO}]$", r"\N{DIGIT ONE}[\N{DIGIT TWO}]"),
        ("^(?i:a)(?s-m:.)(?x:b c)$", "(?i:a)(?s-m:.)(?x:b c)"),
        ("^(?=a)(?!b)(?<=a)(?<!b)c$", "(?=a)(?!b)(?<=a)(?<!b)c"),
        ("^a$|^b$", "a$|^b"),
    ],
)
def test_a_pattern_that_means_the_same_in_both_languages_is_taken(
    pattern: str, without_anchors: str
) -> None:
    assert pattern_of(pattern) == without_anchors


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("^(?:[A-Z0-9]|-)+$", 500),
        ("^[a-z0-9]+(?:-[a-z0-9]+)*$", 500),
        ("^(a|b){3,}?$", 500),
        ("^(?:a|b){1,501}$", 500),
        ("^(?:(?:a|b){1,50}){1,50}$", 250),
        ("^(?:(?:a|b)|c)*$", 250),
        ("^(?x:(?:a|b) *)$", 250),
        (r"^(?:\(?a)*$", 500),
    ],
)
def test_a_repeated_group_needs_a_length_at_which_javas_stack_suffices(
    pattern: str, longest: int
) -> None:
    assert safe_length(pattern, None) == safe_length(pattern, longest + 1) == longest
    assert safe_length(pattern, longest) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "^(?:a|b)*+$",
        "^(?:[0-9]{1,3}[.]){3}[0-9]{1,3}$",
        "^(?:a|b)?[a-z]*$",
        "^(?:a|b) +$",
        r"^\(a\)*[(]*[)]+$",
        "^(?:[0-9a-f]{2})+$",
        "^(?:(?i:ab)[0-9]{3})*$",
    ],
)
def test_what_java_repeats_in_a_loop_or_a_few_times_needs_no_length(pattern: str) -> None:
    assert safe_length(pattern, None) is None
