"""Pages can be read: short where they must be, with links that lead somewhere, in plain English."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import PROJECT_ROOT
from tests.support.vocabulary import avoidable, documents

PAGES = [path for path in documents() if path.suffix == ".md"]
README = PROJECT_ROOT / "README.md"


def prose(page: Path) -> str:
    """A page without its blocks and pieces of code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def links(page: Path) -> Iterator[str]:
    """Targets of the links to files of the project, and to headings."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [README]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in links(page):
            file = (page.parent / target.partition("#")[0]).resolve()
            files = sorted(file.glob("*.md")) if file.is_dir() else [file]
            ahead += [each for each in files if each.suffix == ".md"]

    assert set(PAGES) - reached == set()


def test_readme_is_short() -> None:
    text = README.read_text()

    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1300


def test_documents_do_without_the_words_to_avoid() -> None:
    found = {str(path): list(avoidable(path.read_text())) for path in documents()}

    assert len(found) > 25
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is told anew.", [(1, "told"), (1, "anew")]),
        ("One.\n\nNo engine was at\nhand.", [(3, "at hand")]),
        ("Beside the job", [(1, "Beside")]),
        # Names in code, parts of words and links to places are no prose.
        ("`test_it_is_told` and `told`, untold, [here](told.md)", []),
    ],
)
def test_words_to_avoid_are_found(text: str, words: list[tuple[int, str]]) -> None:
    assert sorted((line, word) for line, word, _ in avoidable(text)) == sorted(words)


def test_changelog_keeps_its_form() -> None:
    text = (PROJECT_ROOT / "CHANGELOG.md").read_text()
    unreleased, *releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    version = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert unreleased == "Unreleased"
    found = [re.fullmatch(r"(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}", release) for release in releases]
    assert all(found)
    assert found[0] is not None
    assert found[0][1] == version
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
