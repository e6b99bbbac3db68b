"""A dashboard on a port, and Debian's Chromium to look at it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from tests.conftest import free_ports

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
WITHOUT_CHROMIUM: Final = (
    "there is no `chromium` on PATH (Debian, Ubuntu: apt-get install chromium); pages were not"
    " looked at in a browser"
)
SIZES: Final = {"1280": (1280, 800), "390": (390, 844)}
AXE: Final = Path(__file__).resolve().parents[1] / "browser" / "axe-core" / "axe.min.js"


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The application on a free port of loopback; gives its address."""
    (port,) = free_ports(1)
    config = uvicorn.Config(
        app,
        port=port,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's handle of the browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()
