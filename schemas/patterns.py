r"""What a pattern must not have: Spark runs it in Java, which refuses it or reads it otherwise.

The common forms mean the same in both languages: `{2,5}`, `\{`, `}`, `\[` and `]` in a class.

Java calls itself once more for each repetition of a group, and a text too long for its stack ends
the whole process, which meets the same message at its next start. What never goes back, such as
`(?:a|b)*+`, repeats one sign or class, such as `[a-z]*`, or a group that fits in one way, such as
`(?:[0-9]{3})*`, is a loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import inf
from typing import Final

# One sign outside classes, or a whole class; then one sign of a class.
_SIGN: Final = re.compile(r"\\N\{[^}]*\}|\\.|\[(?P<members>\^?\]?(?:\\.|[^\\\]])*)\]|.", re.DOTALL)
_MEMBER: Final = re.compile(r"\\.|.", re.DOTALL)
# Octal digits of which Java takes as many as Python are allowed.
_ANYWHERE: Final = {
    r"\\0(?!(?:[0-3]?[0-7](?![0-7])|[4-7][0-7]))|\\[1-3][0-7]{2}": (
        "an octal number, which Java reads in another way; write it as `\\x00`, in hexadecimal"
    ),
    r"\\U": "`\\U`, which Java refuses; write the character itself",
    r"\\v": "`\\v`, which is any vertical space in Java; write `\\x0b`",
}
_OUTSIDE: Final = _ANYWHERE | {
    r"\(\?P|\\Z|\(\?\(": "`(?P`, `(?(` or `\\Z`, which only Python knows",
    r"\{(?!0*[0-9]{1,9}(?:,(?:0*[0-9]{1,9})?)?\})": (
        "`{` without a count, which Java refuses; write `{0,5}` for `{,5}`, and `\\{` for a brace"
    ),
    r"\(\?#": "a comment `(?#`, which Java refuses; write it as the field's `$comment`",
    r"\(\?[a-z]*a": "`(?a`, which Java refuses; leave the `a` out, as `\\d` is ASCII in Java",
    # In a class, and in a comment, this scan and Java read on in different ways.
    r"\(\?[a-z]*x(?=.*(?<!\\)[\[#])": (
        "`(?x` and a class or `#`, which Java reads in another way; write it without `x`"
    ),
}
_INSIDE: Final = _ANYWHERE | {
    r"\[": "`[` in a class, which begins a class of its own in Java; write `\\[`",
    # `-&` ends a range.
    r"(?<!-)&&": "`&&` in a class, which is an intersection in Java; write `&` once",
    r"\\b": "`\\b` in a class, which Java refuses; write `\\x08`",
    r"\\[1-7](?![0-7]{2})": (
        "an octal number in a class, which Java refuses; write it as `\\x01`, in hexadecimal"
    ),
}
# A group's greatest number of repetitions: without end, or a count; none if it never goes back.
_REPEATS: Final = r"(?:([*+]|\{[0-9]+,\})|\{(?:[0-9]+,)?([0-9]+)\})(?!\+)"
# What makes a group fit in several ways.
_VARIES: Final = re.compile(r"[|*+?]|\{[0-9]*,")
# Groups entered within each other: Java's default stack, 1 MiB, holds more than 1,100.
MOST_ENTERED: Final = 500


def java_faults(pattern: str) -> Iterator[str]:
    """Yield what Java does not read as Python does, each with what to write instead."""
    for sign in _SIGN.finditer(pattern):
        members = sign["members"]
        if members is None:
            yield from _at(pattern, sign.start(), _OUTSIDE)
        else:
            for member in _MEMBER.finditer(members):
                yield from _at(members, member.start(), _INSIDE)


def _at(text: str, place: int, rules: Mapping[str, str]) -> Iterator[str]:
    for rule, fault in rules.items():
        if re.compile(rule, re.DOTALL).match(text, place):
            yield fault


def safe_length(pattern: str, max_length: int | None) -> int | None:
    """Return the `maxLength` that Java's stack needs with a pattern; None if it needs no other."""
    blanks = r"\s*" if re.search(r"\(\?[a-z]*x", pattern) else ""
    repeats = re.compile(blanks + _REPEATS)
    # Of each open group: levels of groups in it that fit in several ways, how many of these are
    # entered within each other, and whether it is one itself.
    around, before = [(0, 0.0, False)], ""
    for sign in _SIGN.finditer(pattern):
        levels, entered, _ = around[-1]
        if sign[0] == "(":
            around.append((0, 0.0, False))
        elif sign[0] == ")" and len(around) > 1:
            levels, entered, varies = around.pop()
            found = repeats.match(pattern, sign.end())
            times = float(found[2] or inf) if found else 1
            outer_levels, outer_entered, outer_varies = around[-1]
            if varies:
                levels, entered = levels + 1, times * (entered + 1)
            both = max(outer_levels, levels), outer_entered + entered
            around[-1] = (*both, outer_varies or varies)
        elif before != "(" and _VARIES.match(pattern, sign.start()):
            around[-1] = (levels, entered, True)
        before = sign[0]
    levels, entered, _ = around[0]
    if entered <= MOST_ENTERED or (max_length or inf) * levels <= MOST_ENTERED:
        return None
    return MOST_ENTERED // levels
