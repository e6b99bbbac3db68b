"""Texts that formats and stores find hard, and random ones of the characters that make them so."""

from __future__ import annotations

import random

HARD_TEXTS = (
    "", " ", "  both ends ", "\t", "\n", "\r", "\r\n", "\nx", "x\n", "a\rb", "a\r\nb",
    "\x0b\x0c\x1c",
    '"', '""', '"a"', 'a"b', 'a""b', '"\n', ",", ",,", "a,b", '","', ";", "|", "#", "# comment",
    "\\", "\\\\", '\\"', "a\\", "\\n", "\\N", "\\.", "\\t", "\\x00", "{}", "[]", '{"a": 1}', "'x'",
    "=1+1", "+1", "-1", "@x", "null", "NULL", "None", "nan", "NaN", "N/A", "#N/A",
    "true", "1.0", "1e5",
    "00501", "2026-11-22", "2026-11-22T10:11:12Z",
    "\x00", "a\x00b", "\x00a", '\x00"', 'a\x00"b', '"\x00', "\x00,", "\x00\n",
    "\x01\x1a\x1f\x7f\x85",
    "\u00a0x\u3000", "\u2028", "a\u2029b", "\ufeff", "\ufeffx", "\ufffd", "\uffff",
    "é", "e\u0301", "名前", "😀", "a😀b", "👩\u200d👧",
    "x" * 70_000, '"' * 40_000, "\n" * 5_000, "😀" * 20_000,
)  # fmt: skip
# Longer than the buffers of readers, so that what belongs together is parted at each place.
LENGTHS = (1, 2, 3, 4, 6, 9, 130)
ALPHABET = '""\x00\n\r, \t\\ab#=\ufeff\u2028😀é\x85\x0b'


def random_texts(number: int, seed: int) -> list[str]:
    """The same texts for the same seed."""
    chance = random.Random(seed)
    return ["".join(chance.choices(ALPHABET, k=chance.choice(LENGTHS))) for _ in range(number)]
