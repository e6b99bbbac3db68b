"""A browser for this tier, and dashboards over hand-made data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import expect

from dashboard.app import build_app
from tests.support.browser import CHROMIUM, WITHOUT_CHROMIUM, chromium, served
from tests.support.dashboard_source import HandMade


@dataclass
class Watched:
    """A page of the browser, and what it said and asked for.

    Attributes:
        said: Errors and warnings of the console, and exceptions of scripts.
        asked: Addresses of all requests.
    """

    page: Any
    address: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Go to a path and wait until everything there is drawn."""
        self.page.goto(self.address + path, wait_until="load")
        expect(self.page.locator(".waiting")).to_have_count(0, timeout=20_000)
        return self.page


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip(WITHOUT_CHROMIUM)
    with chromium() as found:
        yield found


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Open a browser's page on a dashboard over a source."""
    with ExitStack() as kept:

        def opened(source: HandMade, **context: Any) -> Watched:
            address = kept.enter_context(served(build_app(source)))
            options = {"viewport": {"width": 1280, "height": 800}} | context
            window = browser.new_context(**options)
            kept.callback(window.close)
            watched = Watched(window.new_page(), address)

            def heard(line: Any) -> None:
                if line.type in {"error", "warning"}:
                    watched.said.append(line.text)

            watched.page.on("console", heard)
            watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
            watched.page.on("request", lambda request: watched.asked.append(request.url))
            return watched

        yield opened
