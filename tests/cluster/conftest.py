"""One cluster for all tests of this folder, which build on one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster_stack import ClusterStack, cluster_stack
from tests.cluster.memory import MemorySampler
from tests.support.story import Note, note, say

__all__ = ["note", "say"]


@pytest.fixture(scope="session")
def memory() -> Iterator[MemorySampler]:
    with MemorySampler() as sampler:
        yield sampler


@pytest.fixture(scope="session")
def stack(say: Note, memory: MemorySampler) -> Iterator[ClusterStack]:
    with cluster_stack(lambda text: say(f"    {text}")) as made:
        yield made
