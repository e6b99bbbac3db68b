"""Screenshots of every page of the dashboard: `make screenshots`.

Wide and narrow, light and dark, with no, 2,000 and 5 million records; hand-made data.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

from playwright.sync_api import expect

from dashboard.app import build_app
from settings import PROJECT_ROOT
from tests.support.browser import CHROMIUM, SIZES, WITHOUT_CHROMIUM, chromium, served
from tests.support.dashboard_source import HandMade, overview_of

FOLDER: Final = PROJECT_ROOT / "output" / "screenshots"
README_IMAGES: Final = PROJECT_ROOT / "docs" / "images"
AMOUNTS: Final = {"none": 0, "2000": 2_000, "5-million": 5_000_000}
PAGES: Final = {
    "overview": "/",
    "pipeline": "/pipelines/orders",
    "records": "/records",
    "table": "/records/orders.orders_by_status?status=paid&created_day=2026-11-28",
    "partitions": "/records/orders.orders_by_status",
    "dead-letters": "/dead-letters",
    "trace": "/trace/A-00001",
    "trace-of-nothing": "/trace/never",
    "not-found": "/nowhere",
}


def go(page: Any, address: str) -> None:
    """Wait until everything on a page is drawn."""
    page.goto(address, wait_until="networkidle")
    expect(page.locator(".waiting")).to_have_count(0, timeout=20_000)


def of_readme(browser: Any) -> None:
    """The pictures of README.md."""
    source = HandMade(seen=overview_of(AMOUNTS["5-million"], datetime.now(UTC)))
    page = browser.new_page(viewport={"width": 1120, "height": 700}, color_scheme="light")
    with served(build_app(source)) as address:
        for name in ("overview", "pipeline", "trace"):
            go(page, address + PAGES[name])
            if name == "pipeline":
                # Its upper part looks like the overview.
                heading = page.get_by_role("heading", name="Aggregates", exact=True)
                heading.evaluate("element => { element.scrollIntoView(); scrollBy(0, -40) }")
                page.wait_for_timeout(500)
            page.screenshot(path=str(README_IMAGES / f"dashboard-{name}.png"))


def of_pages(browser: Any, chosen: Sequence[str]) -> None:
    """Pictures of whole pages: all, or those with one of these texts in their name."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for amount, read in AMOUNTS.items():
        source = HandMade(seen=overview_of(read, datetime.now(UTC)))
        with served(build_app(source)) as address:
            for size, scheme, name in product(SIZES, ("light", "dark"), PAGES):
                target = FOLDER / f"{name}-{amount}-{size}-{scheme}.png"
                if chosen and not any(each in target.name for each in chosen):
                    continue
                width, height = SIZES[size]
                viewport = {"width": width, "height": height}
                page = browser.new_page(viewport=viewport, color_scheme=scheme)
                go(page, address + PAGES[name])
                page.screenshot(path=str(target), full_page=True)
                page.close()


def main() -> int:
    """Take them; gives the exit code."""
    if CHROMIUM is None:
        sys.stderr.write(f"screenshots: {WITHOUT_CHROMIUM}\n")
        return 1
    chosen = sys.argv[1:]
    with chromium() as browser:
        if chosen == ["readme"]:
            of_readme(browser)
            return 0
        of_pages(browser, chosen)
    sys.stdout.write(f"screenshots: {len([*FOLDER.glob('*.png')])} in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
