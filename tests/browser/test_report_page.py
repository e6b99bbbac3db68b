"""The page of a report in a real browser: on screens, in both colours, and on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from operations.report.report import page_of
from tests.support.browser import AXE, SIZES
from tests.support.report_contents import contents_of


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("read", [0, 5_000_000])
def test_page_has_no_request_overflow_or_serious_axe_finding(
    browser: Any, tmp_path: Path, read: int, size: str, scheme: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_of(contents_of(read)))
    width, height = SIZES[size]
    window = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    page = window.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: said.append(line.text))

    page.goto(file.as_uri())
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    window.close()

    assert (asked, said) == ([file.as_uri()], [])
    assert wider <= 0
    assert [
        (each["id"], [node["html"][:120] for node in each["nodes"]][:3])
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ] == []


def test_paper_is_light_and_shows_every_line_whatever_the_screen(
    browser: Any, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_of(contents_of(2_000)))
    window = browser.new_context(color_scheme="dark", java_script_enabled=True)
    page = window.new_page()
    page.goto(file.as_uri())
    page.emulate_media(media="print")

    paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    lines = page.locator(".plot polyline").count()
    wide = page.locator(".flow.wide").first.is_visible()
    window.close()

    assert paper == "rgb(255, 255, 255)"
    # Three states of orders, one line of sensors.
    assert lines == 4
    assert wide
