"""Words that Millrace does without: `python -m tests.support.vocabulary` names each that is left.

`make lint` runs it; files and folders as arguments narrow it. Add a word to `AVOIDED`, or a folder
or suffix to `DOCUMENTS` or `CODE`, to widen it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from settings import PROJECT_ROOT

# Pattern -> what to say in its place.
AVOIDED: Final = {
    r"anew": "again, from scratch",
    r"besides?": "alongside, also, next to",
    r"by chance": "random, at random",
    r"(?:at|at no) hand": "available",
    r"for ever": "forever, permanently",
    r"is to be had|are to be had": "is available",
    r"lest": "so that … does not",
    r"nobody": "no one; or say who",
    r"(?<!F\.)octets?": "bytes",  # Spark has a function of that name
    r"other ones": "others, different",
    r"(?:tells?|telling) (?:of|apart)": "reports, distinguishes",
    r"told": "reported, said, named",
    r"whatsoever|hitherto|hence|thereof|wherein": "a plain word",
    r"without a word": "silently",
    r"work(?:ed|s)? off": "processed",
}
# They list the words.
EXEMPT: Final = ("tests/support/vocabulary.py", "tests/unit/test_pages.py")
DOCUMENTS: Final = ("*.md", "docs/**/*.md", "NOTICE", ".env.example", ".pre-commit-config.yaml")
CODE: Final = ("Makefile", "*.py", "[a-z]*/**/*.py", "[a-z]*/**/*.java")
# Names are not prose: inline code, targets of links, a string of one word.
_NOT_PROSE: Final = re.compile(r"`[^`\n]*`|\]\([^)]*\)|\"[^\"\s]*\"")
_WORDS: Final = {
    re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE): say
    # A phrase may be broken over two lines.
    for pattern, say in ((words.replace(" ", r"\s+"), say) for words, say in AVOIDED.items())
}


def documents() -> list[Path]:
    """The files that people read."""
    return _found(DOCUMENTS)


def _found(globs: Iterable[str]) -> list[Path]:
    found = {path for glob in globs for path in PROJECT_ROOT.glob(glob)}
    return sorted(found - {PROJECT_ROOT / name for name in EXEMPT})


def avoidable(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, the word or phrase, and what to say instead."""
    prose = _NOT_PROSE.sub(lambda found: " " * len(found[0]), text)
    # Names of functions and tests are read as words, too.
    prose = prose.replace("_", " ")
    for word, say in _WORDS.items():
        for found in word.finditer(prose):
            yield prose.count("\n", 0, found.start()) + 1, " ".join(found[0].split()), say


def main() -> int:
    """Print each word that is left; gives the exit code."""
    found = 0
    places = [f"{place}/**/*.py" if Path(place).is_dir() else place for place in sys.argv[1:]]
    for path in _found(places or (*DOCUMENTS, *CODE)):
        for line, word, say in sorted(avoidable(path.read_text())):
            place = f"{path.relative_to(PROJECT_ROOT)}:{line}"
            sys.stdout.write(f"{place}: `{word}`: say {say}\n")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
