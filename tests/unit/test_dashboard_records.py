"""Pages of records, dead letters and traces over hand-made data, without a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from urllib.parse import unquote

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from dashboard.app import build_app
from dashboard.shell import address_of
from tests.support.dashboard_source import ADDRESS, HandMade, text_of
from tests.support.screenshots import PAGES

KEY = {"status": "paid", "created_day": "2026-11-28"}


def test_a_trace_that_could_not_search_everything_does_not_say_that_it_never_came(
    source: HandMade, client: TestClient
) -> None:
    never = source.trace("never")
    records = (replace(never.records[0], not_searched=("Cassandra does not answer.",)),)
    source.trace = lambda _: replace(never, records=records)  # type: ignore[method-assign]

    text = text_of(client.get("/trace/never?part=found").text)

    assert "No trace of it was found, but not everything could be searched." in text
    assert "never came" not in text


def test_the_address_of_the_data_gives_what_the_page_shows(client: TestClient) -> None:
    for path in (
        PAGES["table"],
        "/dead-letters?pipeline=orders&reason=invalid_amount",
        "/trace/a%3Fb",
    ):
        (address,) = re.findall(r'same as data: <a href="([^"]*)"', client.get(path).text)
        assert address.replace("&amp;", "&") == f"/api{path}"
        assert client.get(address.replace("&amp;", "&")).status_code == 200
    assert "same as data" not in client.get("/nowhere").text


def test_a_typed_id_leads_to_its_trace_whatever_it_holds(client: TestClient) -> None:
    for typed, path in {
        "A-1": "/trace/A-1",
        " orders/0/41 ": "/trace/orders/0/41",
        "a?b#c%d é": "/trace/a%3Fb%23c%25d%20%C3%A9",
    }.items():
        answer = client.get("/trace", params={"id": typed}, follow_redirects=False)
        assert answer.headers["location"] == path
        found = client.get(f"{path}?part=found")
        assert found.status_code == 200
        assert unquote(path.removeprefix("/trace/")) in found.text
    assert client.get("/trace", follow_redirects=False).headers["location"] == "/"


@pytest.mark.parametrize(
    ("decoded", "escaped"),
    [("a%62", "a%2562"), ("http://x/a%20b", "http%3A//x/a%2520b"), ('é&"', "%C3%A9%26%22")],
)
def test_piece_of_a_trace_asks_for_the_same_id_as_its_page(decoded: str, escaped: str) -> None:
    # A server decodes the path once; the test client would do it twice.
    scope = {"type": "http", "method": "GET", "path": f"/trace/{decoded}", "query_string": b""}
    scope |= {"headers": [(b"host", b"127.0.0.1")], "server": ("127.0.0.1", 80), "scheme": "http"}

    asked = address_of(Request(scope))

    assert asked == f"/trace/{escaped}"


def test_markup_in_names_and_values_is_text(client: TestClient) -> None:
    page = client.get("/trace/<script>alert(1)</script>?part=found").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_rows_want_the_whole_key_and_say_so(client: TestClient) -> None:
    path = "/records/orders.orders_by_status?part=found&status=paid"

    assert "found by all of its key" in text_of(client.get(path).text)
    assert "found by all of its key" in client.get(f"/api{path}").json()["error"]


def test_pages_of_rows_and_dead_letters_follow_one_another(client: TestClient) -> None:
    rows = "/records/orders.orders_by_status?part=found&status=paid&created_day=2026-11-28"
    (link,) = re.findall(r'class="next" href="([^"]+)"', client.get(rows).text)
    assert link.endswith("?status=paid&amp;created_day=2026-11-28&amp;page=50")
    second = client.get(f"{link.replace('&amp;', '&')}&part=found").text
    assert "A-00079" in second
    assert 'class="next"' not in second
    letters = client.get("/dead-letters?part=found").text
    assert "page=orders%2F1%2F106" in letters


def test_rows_lead_to_the_trace_of_their_whole_id(source: HandMade, client: TestClient) -> None:
    path = "/records/orders.orders_by_status?part=found&status=paid&created_day=2026-11-28"
    orders = source.declared["orders"]
    found = source.rows(source.tables["orders.orders_by_status"], KEY, None)
    at = datetime(2026, 11, 28, 10, 0, 0, 5_000)  # noqa: DTZ001 - as Cassandra's driver gives it
    row = {**found.rows[0], "order_id": "A|1", "amount": at}
    source.rows = lambda *_: replace(found, rows=(row,), following=None)  # type: ignore[method-assign]

    source.declared = {"orders": replace(orders, ids=("status", "order_id", "amount"))}
    page = client.get(path).text
    assert re.findall(r'<a href="(/trace/[^"]+)">([^<]+)</a>', page) == [
        ("/trace/paid%7CA%5C%7C1%7C2026-11-28T10%3A00%3A00.005Z", "A|1")
    ]
    assert "1 row on this page, no more in the partition." in text_of(page)
    # An id that must not be seen leads nowhere.
    source.declared = {"orders": replace(orders, ids=("order_id", "customer_email"))}
    assert "/trace/" not in client.get(path).text


def test_text_that_is_no_unicode_is_shown_with_escapes(source: HandMade) -> None:
    found = source.dead_letters(None, None, None)
    odd = replace(found.letters[0], value='{"a": "\ud800 \u202e"}', reasons=("x\udfff",))
    source.dead_letters = lambda *_, **__: replace(found, letters=(odd,))
    source.trace = lambda asked: replace(HandMade().trace("x"), asked="\ud800")
    with TestClient(build_app(source), base_url=ADDRESS) as client:
        page = client.get("/dead-letters?part=found")
        data = client.get("/api/dead-letters")
        trace = client.get("/trace/x?part=found")
        traced = client.get("/api/trace/x")

    assert page.status_code == trace.status_code == 200
    assert r"\ud800" in page.text
    assert data.json()["letters"][0]["reasons"] == ["x\udfff"]
    assert traced.json()["asked"] == "\ud800"
