"""Texts that match a regular expression: how many there are, and the one with a given number.

The expression becomes an automaton whose paths are counted, so that every number below `size` gives
a different text of the asked length. Of a class of characters only plain ones are used where it has
any: `.` and `[^@]` give letters and digits. What an automaton cannot express (looking ahead, back
references) is ignored, so callers check what they get with the expression itself.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from random import Random
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

# Lengths above the shortest that are used, if the expression allows them.
SPREAD: Final = 24
LONGEST: Final = 4096
MOST_STATES: Final = 20_000
LARGEST_CLASS: Final = 128
ALPHANUMERIC: Final = string.ascii_letters + string.digits
# For what is not one of some characters: the first of these with any other character counts.
UNIVERSES: Final = (
    ALPHANUMERIC,
    "-._~!$&+,;=:@/?#%*()[]{}<>|'\"^`\\",
    " ",
    "éàüñßøčЖЩאش中",
    "\t\n",
)
CATEGORIES: Final = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_NOT_DIGIT": string.ascii_letters,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": ALPHANUMERIC,
    "CATEGORY_WORD": f"{ALPHANUMERIC}_",
    "CATEGORY_NOT_WORD": "-.~!+,;=:@/?#%",
}
States = tuple[int, ...]


class NoText(ValueError):
    """No text of the asked lengths matches, or the expression is too large to count."""


class PatternTexts:
    """The texts of an expression between two lengths.

    Attributes:
        sizes: Length -> how many texts have it, shortest first; none is 0.
    """

    def __init__(self, pattern: str, least: int = 0, most: int | None = None) -> None:
        """Count the texts; see the module's docstring.

        Args:
            pattern: For a full match, without anchors.
            least: Characters at least.
            most: Characters at most; None for no limit.

        Raises:
            NoText: There is none, or too many states are needed.
        """
        automaton = _Automaton(pattern)
        self._moves = cache(automaton.moves)
        self._start, self._is_end = automaton.start, automaton.is_end
        self._layers: list[list[States]] = [[self._start]]
        self._ways: dict[int, list[dict[States, int]]] = {}
        self.sizes: dict[int, int] = {}
        top = LONGEST if most is None else min(most, LONGEST)
        for length in range(top + 1):
            layer = self._layers[length]
            if length >= least and any(map(self._is_end, layer)):
                self.sizes[length] = self._count(length)
                top = min(top, min(self.sizes) + SPREAD)
            reached = {to: None for states in layer for to, _ in self._moves(states)}
            self._layers.append([*reached])
            if not reached or length >= top:
                break
            if sum(map(len, self._layers)) > MOST_STATES:
                raise NoText
        if not self.sizes:
            raise NoText

    def text(self, length: int, number: int) -> str:
        """Return the text of that length with that number, which is below `sizes[length]`."""
        states, found = self._start, []
        for ways in self._ways[length][1:]:
            for to, characters in self._moves(states):
                each = ways.get(to, 0)
                if number < each * len(characters):
                    place, number = divmod(number, each)
                    found.append(characters[place])
                    states = to
                    break
                number -= each * len(characters)
        return "".join(found)

    def any(self, rng: Random) -> str:
        """Return a text with a random length, then random among those of that length."""
        length = rng.choice([*self.sizes])
        return self.text(length, rng.randrange(self.sizes[length]))

    def _count(self, length: int) -> int:
        """Count, layer by layer from the end, in how many ways each set of states ends there."""
        ways = [{states: 1 for states in self._layers[length] if self._is_end(states)}]
        for layer in reversed(self._layers[:length]):
            after = ways[-1]
            found = {
                states: sum(after.get(to, 0) * len(chars) for to, chars in self._moves(states))
                for states in layer
            }
            ways.append({states: count for states, count in found.items() if count})
        self._ways[length] = ways[::-1]
        return ways[-1][self._start]


class _Automaton:
    """States numbered from 0, with steps that take a character and steps that take none."""

    def __init__(self, pattern: str) -> None:
        self._free: list[list[int]] = []
        self._taking: list[list[tuple[str, int]]] = []
        self._groups: dict[int, Any] = {}
        start, self._end = self._new(), self._new()
        self._sequence(parser.parse(pattern), start, self._end)
        self.start = self._closed([start])

    def is_end(self, states: States) -> bool:
        """Return whether a text may end here."""
        return self._end in states

    def moves(self, states: States) -> list[tuple[States, str]]:
        """Return where one more character leads, and the characters that lead there."""
        targets: dict[str, list[int]] = {}
        for state in states:
            for characters, to in self._taking[state]:
                for character in characters:
                    targets.setdefault(character, []).append(to)
        together: dict[States, list[str]] = {}
        for character in sorted(targets):
            together.setdefault(tuple(targets[character]), []).append(character)
        groups: dict[States, list[str]] = {}
        for reached, same in together.items():
            groups.setdefault(self._closed(reached), []).extend(same)
        return [(to, "".join(characters)) for to, characters in groups.items()]

    def _closed(self, states: Iterable[int]) -> States:
        """Return the states that are reached without a character."""
        found, waiting = set(states), [*states]
        while waiting:
            for to in self._free[waiting.pop()]:
                if to not in found:
                    found.add(to)
                    waiting.append(to)
        return tuple(sorted(found))

    def _new(self) -> int:
        if len(self._free) == MOST_STATES:
            raise NoText
        self._free.append([])
        self._taking.append([])
        return len(self._free) - 1

    def _sequence(self, parts: Any, start: int, end: int) -> None:
        """Build the parts one after the other, from one state to another."""
        for operation, value in parts:
            after = self._new()
            self._part(str(operation), value, start, after)
            start = after
        self._free[start].append(end)

    def _part(self, operation: str, value: Any, start: int, end: int) -> None:
        if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = value
            self._repeat(least, most, inner, start, end)
        elif operation == "BRANCH":
            for branch in value[1]:
                self._sequence(branch, start, end)
        elif operation == "SUBPATTERN":
            self._groups[value[0]] = value[3]
            self._sequence(value[3], start, end)
        elif operation == "ATOMIC_GROUP":
            self._sequence(value, start, end)
        elif operation == "GROUPREF":
            self._sequence(self._groups[value], start, end)
        elif operation in ("AT", "ASSERT", "ASSERT_NOT"):
            self._free[start].append(end)
        elif operation != "FAILURE":
            self._taking[start].append((_characters(operation, value), end))

    def _repeat(self, least: int, most: Any, inner: Any, start: int, end: int) -> None:
        for _ in range(least):
            after = self._new()
            self._sequence(inner, start, after)
            start = after
        if most is parser.MAXREPEAT:
            again = self._new()
            self._free[start].append(again)
            self._sequence(inner, again, again)
            self._free[again].append(end)
            return
        for _ in range(min(most - least, LONGEST)):
            self._free[start].append(end)
            after = self._new()
            self._sequence(inner, start, after)
            start = after
        self._free[start].append(end)


def _characters(operation: str, value: Any) -> str:
    """Return the characters to use for a part that takes one."""
    if operation == "LITERAL":
        return chr(value)
    if operation in ("ANY", "NOT_LITERAL"):
        return _other_than(chr(value) if value is not None else "\n")
    members = [*value] if operation == "IN" else [(operation, value)]
    is_negated = str(members[0][0]) == "NEGATE"
    if is_negated:
        return _other_than("".join(_members(members[1:])), members[1:])
    return "".join(dict.fromkeys(_members(members)))


def _members(members: Iterable[Any]) -> Iterator[str]:
    for operation, value in members:
        if str(operation) == "RANGE":
            yield from _plain(value[0], value[1] + 1)
        elif str(operation) == "CATEGORY":
            yield from CATEGORIES[str(value)]
        else:
            yield chr(value)


def _plain(start: int, end: int) -> Iterator[str]:
    """Yield the printable characters of a range, or all if it has none; surrogates never."""
    every = [chr(n) for n in range(start, end) if not 0xD800 <= n <= 0xDFFF]
    visible = (character for character in every if character.isprintable())
    return islice([*islice(visible, LARGEST_CLASS)] or every, LARGEST_CLASS)


def _other_than(characters: str, members: Iterable[Any] = ()) -> str:
    ranges = [value for operation, value in members if str(operation) == "RANGE"]
    for universe in UNIVERSES:
        left = [
            each
            for each in universe
            if each not in characters and not any(a <= ord(each) <= b for a, b in ranges)
        ]
        if left:
            return "".join(left)
    raise NoText
