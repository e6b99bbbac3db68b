"""The dashboard in a real browser, over hand-made data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import expect

from operations.overview.model import Overview
from tests.browser.conftest import Watched
from tests.support.browser import AXE, SIZES
from tests.support.dashboard_source import BY_DAY, HandMade, away, overview_of
from tests.support.screenshots import PAGES

Look = Callable[..., Watched]
# Longer than two rounds of renewal.
ROUNDS_MS = 9_000


def now_with(read: int, **changes: Any) -> HandMade:
    return HandMade(seen=overview_of(read, datetime.now(UTC), **changes))


def numbers_in(text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*", text)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("read", [0, 2_000])
def test_every_page_is_without_errors_foreign_requests_overflow_and_serious_axe_findings(
    look: Look, read: int, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    watched = look(now_with(read), viewport={"width": width, "height": height}, color_scheme=scheme)
    findings = []
    for name, path in PAGES.items():
        page = watched.open(path)
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        findings += [
            (name, each["id"], each["impact"], [node["html"][:120] for node in each["nodes"]][:3])
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
        wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wider <= 0, f"{name} is {wider} pixels too wide"

    assert findings == []
    # Chromium notes the 404 of the page that is not there.
    assert [line for line in watched.said if "404" not in line] == []
    assert len(watched.asked) > 20
    assert [url for url in watched.asked if not url.startswith(watched.address)] == []


def test_axe_finds_a_fault_that_is_there(look: Look) -> None:
    page = look(now_with(2_000)).open("/")
    page.evaluate(
        "document.querySelector('h1').style.color = getComputedStyle("
        "document.documentElement).getPropertyValue('--rule')"
    )
    page.evaluate(AXE.read_text())

    found = page.evaluate("axe.run(document, {runOnly: ['color-contrast']})")

    assert [each["impact"] for each in found["violations"]] == ["serious"]


def test_numbers_of_the_way_of_messages_are_those_of_the_ledger_and_add_up(look: Look) -> None:
    source = now_with(5_000_000)
    page = look(source).open("/pipelines/orders")

    texts = page.locator(".flow.wide .count").all_text_contents()
    read, *outcomes = [numbers_in(text)[0] for text in texts]

    counts = source.seen.pipelines[0].counts
    assert read == counts.read == 5_000_000
    assert outcomes == [counts.stored, counts.dead_lettered, counts.filtered, counts.duplicates]
    assert sum(outcomes) == read
    assert page.locator(".way .sum").first.inner_text() == (
        "5,000,000 = 4,825,000 + 100,000 + 50,000 + 25,000"
    )
    # The bars are as high as the numbers are large.
    heights = [
        float(bar.get_attribute("height")) for bar in page.locator(".flow.wide .outlet").all()
    ]
    assert heights[0] / heights[1] == pytest.approx(48.25, rel=0.03)


def test_bars_and_lines_of_aggregates_have_the_stores_numbers(look: Look) -> None:
    source = now_with(2_000)
    page = look(source).open("/pipelines/orders")
    drawn = source.chart(BY_DAY, "count")

    bars = page.locator("#of-orders_by_day table.bars tr:has(td)")
    shown = {
        bar.locator("th").inner_text(): numbers_in(bar.locator(".n").inner_text())[0]
        for bar in bars.all()
    }
    assert shown == {bar.label: bar.value for bar in drawn.bars}
    widths = [
        float(rect.get_attribute("width").rstrip("%"))
        for rect in page.locator("#of-orders_by_day rect:not(.bed)").all()
    ]
    most = max(bar.value for bar in drawn.bars)
    assert widths == pytest.approx([100 * bar.value / most for bar in drawn.bars], abs=0.01)
    # Without a pointer the legend has the last day; the chart has a line for each status.
    series = page.locator("#of-orders_by_day .u-legend .u-series")
    names = series.locator(".u-label").all_inner_texts()
    values = series.locator(".u-value").all_inner_texts()
    newest = {name: line[-1] for name, line in drawn.lines.items()}
    assert dict(zip(names[1:], map(int, values[1:]), strict=True)) == newest
    assert values[0] == "2026-11-28"
    page.locator("#of-orders_by_day summary").click()
    first = page.locator("#of-orders_by_day table.numbers tr").nth(1).all_inner_texts()[0]
    assert first.split() == ["2026-11-28", *(str(n) for n in newest.values())]


def test_pointing_at_a_chart_shows_the_numbers_of_that_day(look: Look) -> None:
    source = now_with(2_000)
    page = look(source).open("/pipelines/orders")
    over = page.locator("#of-orders_by_day .u-over")
    over.scroll_into_view_if_needed()
    over.hover(position={"x": 2, "y": 40})

    drawn = source.chart(BY_DAY, "count")
    legend = page.locator("#of-orders_by_day .u-legend .u-series")
    expect(legend.first).to_contain_text("2026-11-01")
    expect(legend.nth(1)).to_contain_text(f"{drawn.lines['paid'][0]}")


def test_another_measure_is_drawn_and_stays_chosen(look: Look) -> None:
    page = look(now_with(2_000)).open("/pipelines/orders")

    page.get_by_label("Measure").nth(1).select_option("revenue")

    expect(page.locator("#of-orders_by_country .total")).to_have_text("77,200")
    page.wait_for_timeout(ROUNDS_MS + 2_000)
    expect(page.locator("#of-orders_by_country select")).to_have_value("revenue")
    expect(page.locator("#of-orders_by_country .total")).to_have_text("77,200")


def test_numbers_renew_themselves_and_keep_focus_and_what_is_open(look: Look) -> None:
    source = now_with(2_000)
    watched = look(source)
    page = watched.open("/pipelines/orders")
    page.locator("#batches summary").click()
    page.locator("#why-1").focus()

    source.seen = overview_of(4_000, datetime.now(UTC))

    expect(page.locator(".flow.wide .read .count")).to_have_text("4,000", timeout=ROUNDS_MS)
    assert page.evaluate("document.activeElement.id") == "why-1"
    expect(page.locator("#batches")).to_have_attribute("open", "")
    assert watched.said == []


def test_a_service_that_stops_is_named_and_its_return_is_seen(look: Look) -> None:
    source = now_with(2_000)
    watched = look(source)
    page = watched.open("/")
    before = source.seen

    source.lose("cassandra")
    trouble = page.locator("main .trouble")
    expect(trouble).to_contain_text("cassandra is down", timeout=ROUNDS_MS)
    expect(page.locator(".services .off")).to_have_text(re.compile("cassandra.*down"))
    expect(page.locator(".flow.wide .read .count")).to_have_text("2,500")

    source.seen = replace(before, taken_at=datetime.now(UTC))
    expect(trouble).to_have_count(0, timeout=ROUNDS_MS)
    assert watched.said == []


def test_a_store_that_does_not_answer_is_said_in_place_of_its_chart_and_rows(look: Look) -> None:
    source = now_with(2_000)
    page = look(source).open("/pipelines/orders")
    source.fault = away("MongoDB")

    # What was read is kept; what was not cannot be read.
    page.get_by_label("Measure").nth(1).select_option("revenue")
    chart = page.locator("#of-orders_by_country .trouble")
    expect(chart).to_contain_text("MongoDB does not answer")
    expect(page.locator("#pipeline .trouble")).to_be_visible(timeout=ROUNDS_MS)
    expect(page.locator("#of-orders_by_day table.bars tr:has(td)")).to_have_count(3)

    source.fault = None
    expect(chart).to_have_count(0, timeout=30_000)
    source.fault = away("Cassandra")
    page.goto(page.url.split("/pipelines")[0] + PAGES["table"])
    expect(page.locator("main .trouble")).to_contain_text("Cassandra does not answer")


def test_the_end_of_the_dashboard_is_said_and_its_return_is_seen(look: Look) -> None:
    watched = look(now_with(2_000))
    page = watched.open("/")

    page.route("**/*part=*", lambda route: route.abort())
    expect(page.locator("#away")).to_be_visible(timeout=ROUNDS_MS)
    expect(page.locator("#away")).to_contain_text("is `make dashboard` still running?")
    page.unroute("**/*part=*")
    expect(page.locator("#away")).to_be_hidden(timeout=ROUNDS_MS)


def test_rows_that_do_not_come_are_said_and_no_longer_awaited(look: Look) -> None:
    watched = look(now_with(2_000))
    watched.page.route("**/*part=found*", lambda route: route.abort())
    watched.page.goto(watched.address + "/dead-letters")

    expect(watched.page.locator("#away")).to_have_text(
        "No answer came. Reload the page to ask again."
    )
    expect(watched.page.locator(".waiting")).to_have_count(0)


def test_an_aggregate_that_did_not_come_is_asked_for_again(look: Look) -> None:
    watched = look(now_with(2_000))
    watched.page.route("**/*aggregate=orders_by_day*", lambda route: route.abort(), times=1)
    watched.page.goto(watched.address + "/pipelines/orders")

    bars = watched.page.locator("#of-orders_by_day table.bars tr:has(td)")
    expect(bars).to_have_count(3, timeout=ROUNDS_MS + 5_000)


def test_paused_pages_and_pages_without_live_parts_ask_nothing(look: Look) -> None:
    source = now_with(2_000)
    watched = look(source)
    page = watched.open("/")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(500)
    watched.asked.clear()
    looks = source.looks

    page.wait_for_timeout(5_000)
    assert watched.asked == []
    assert source.looks == looks
    expect(page.locator("#live")).to_contain_text("As of")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_timeout(5_000)
    assert watched.asked

    watched.open("/dead-letters")
    watched.asked.clear()
    page.wait_for_timeout(5_000)
    assert watched.asked == []


def test_dead_letters_are_filtered_by_reason(look: Look) -> None:
    page = look(now_with(2_000)).open("/dead-letters")
    assert page.locator(".letters li").count() == 8

    page.get_by_label("Reason").fill("invalid_amount")
    page.get_by_role("button", name="Show").click()

    expect(page.locator(".letters li")).to_have_count(2)
    assert "reason=invalid_amount" in page.url
    assert "•••" in page.locator(".letters pre").first.inner_text()


def test_records_are_found_by_their_partition_and_traced_by_keyboard_alone(look: Look) -> None:
    page = look(now_with(2_000)).open("/records/orders.orders_by_status")
    page.get_by_role("link", name="paid · 2026-11-27").press("Enter")
    expect(page.get_by_label("created_day (date)")).to_have_value("2026-11-27")
    expect(page.locator("table.rows tbody tr, table.rows tr:has(td)")).to_have_count(50)
    # Markup in a record is text.
    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()

    page.get_by_role("link", name="A-00001", exact=True).press("Enter")

    page.wait_for_url("**/trace/A-00001")
    expect(page.locator(".arrivals h3")).to_have_text(["stored", "duplicate", "rejected"])
    page.get_by_label("Id of a record").fill("never")
    page.keyboard.press("Enter")
    expect(page.locator(".lead")).to_contain_text("It never came")


def test_the_first_tab_leads_past_the_navigation(look: Look) -> None:
    page = look(now_with(2_000)).open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "2px"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")


def test_a_first_look_that_takes_long_shows_that_it_is_under_way(look: Look) -> None:
    source, ready = now_with(2_000), Event()
    look_now = source.overview

    def look_later() -> Overview:
        ready.wait(20)
        return look_now()

    source.overview = look_later
    watched = look(source)
    watched.page.goto(watched.address + "/")

    expect(watched.page.get_by_role("heading", level=1)).to_have_text("Looking at the services")
    expect(watched.page.locator(".waiting")).to_have_count(1)
    ready.set()
    expect(watched.page.get_by_role("heading", level=1)).to_have_text(
        "2,500 messages read", timeout=ROUNDS_MS
    )
