"""Screenshots of every page of the dashboard: `make screenshots`.

Wide and narrow, light and dark, with no, 2,000 and 5 million records; hand-made data.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
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


def take(page: Any, address: str, target: Path) -> None:
    """A picture of the whole page, once its charts are drawn."""
    page.goto(address, wait_until="networkidle")
    expect(page.locator(".waiting")).to_have_count(0, timeout=20_000)
    page.screenshot(path=str(target), full_page=True)


def of_readme() -> int:
    """The pictures of README.md."""
    source = HandMade(seen=overview_of(AMOUNTS["5-million"], datetime.now(UTC)))
    with chromium() as browser, served(build_app(source)) as address:
        page = browser.new_page(viewport={"width": 1120, "height": 700}, color_scheme="light")
        for name in ("overview", "pipeline", "trace"):
            page.goto(address + PAGES[name], wait_until="networkidle")
            expect(page.locator(".waiting")).to_have_count(0, timeout=20_000)
            if name == "pipeline":
                # Its upper part looks like the overview.
                heading = page.get_by_role("heading", name="Aggregates", exact=True)
                heading.evaluate("element => { element.scrollIntoView(); scrollBy(0, -40) }")
                page.wait_for_timeout(500)
            page.screenshot(path=str(README_IMAGES / f"dashboard-{name}.png"))
    return 0


def main() -> int:
    """Take all of them; gives the exit code."""
    if CHROMIUM is None:
        sys.stderr.write(f"screenshots: {WITHOUT_CHROMIUM}\n")
        return 1
    chosen = sys.argv[1:]
    if chosen == ["readme"]:
        return of_readme()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for amount, read in AMOUNTS.items():
            source = HandMade(seen=overview_of(read, datetime.now(UTC)))
            with served(build_app(source)) as address:
                for size, (width, height) in SIZES.items():
                    for scheme in ("light", "dark"):
                        context = browser.new_context(
                            viewport={"width": width, "height": height}, color_scheme=scheme
                        )
                        page = context.new_page()
                        for name, path in PAGES.items():
                            target = FOLDER / f"{name}-{amount}-{size}-{scheme}.png"
                            if not chosen or any(each in target.name for each in chosen):
                                take(page, address + path, target)
                        context.close()
    sys.stdout.write(f"screenshots: {len([*FOLDER.glob('*.png')])} in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
