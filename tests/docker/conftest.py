"""The engine, the images and one stack for all tests of this folder, which build on one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker.compose_stack import ComposeStack, compose_stack
from tests.docker.engine import Engine, NoEngine, find_engine
from tests.docker.images import bring_images
from tests.support.story import Note, note, say

__all__ = ["note", "say"]


@pytest.fixture(scope="session")
def engine(say: Note) -> Iterator[Engine]:
    try:
        found = find_engine(say)
    except NoEngine as reason:
        pytest.skip(str(reason))
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="session")
def stand_ins(engine: Engine, say: Note) -> list[str]:
    return bring_images(engine, say)


@pytest.fixture(scope="session")
def stack(
    engine: Engine, stand_ins: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComposeStack]:
    with compose_stack(engine, tmp_path_factory.mktemp("docker")) as made:
        yield made
