"""The engine, the images and one stack for all tests of this folder, which build on one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.docker.compose_stack import ComposeStack, compose_stack
from tests.docker.engine import Engine, NoEngine, find_engine
from tests.docker.images import bring_images

Note = Callable[[str], None]


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Note:
    """Prints at once: some steps take minutes."""
    plugins = pytestconfig.pluginmanager
    reporter, capture = (plugins.get_plugin(n) for n in ("terminalreporter", "capturemanager"))

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(text)

    return write


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


@pytest.fixture
def note(record_property: Callable[[str, object], None], say: Note) -> Note:
    """Keeps a line for the summary, with the seconds of the test so far."""
    started = time.monotonic()

    def keep(text: str) -> None:
        line = f"{time.monotonic() - started:5.0f} s  {text}"
        record_property("score", line)
        say(f"    {line}")

    return keep
