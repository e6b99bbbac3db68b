"""The dashboard as a web application."""

from __future__ import annotations

import sys

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.api import Api
from dashboard.guard import Guard
from dashboard.live import LiveSource
from dashboard.pages import Pages
from dashboard.responses import Json
from dashboard.shell import Shell
from dashboard.store_pages import StorePages
from dashboard.templating import STATIC
from errors import MillraceError, RequestError


class Following:
    """Lets the source see before an answer whether pipelines have come or gone."""

    def __init__(self, app: ASGIApp, source: LiveSource) -> None:
        self.app, self.source = app, source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not scope["path"].startswith("/static/"):
            await run_in_threadpool(self.source.follow)
        await self.app(scope, receive, send)


def build_app(source: LiveSource, password: SecretStr | None = None) -> ASGIApp:
    """The application over a source.

    Args:
        source: Where pages get what they show.
        password: Asked for on every page but `/healthz`; None: anyone on this machine may look.
    """
    shell = Shell(source)
    pages, stores, api = Pages(shell), StorePages(shell), Api(shell)

    async def answer(request: Request, status: int, title: str, text: str) -> Response:
        if request.url.path.startswith("/api/"):
            return Json({"error": text}, status)
        return await run_in_threadpool(shell.message, request, status, title, text)

    async def not_found(request: Request, error: Exception) -> Response:
        return await answer(request, 404, "Not found", f"There is no page `{request.url.path}`.")

    async def not_like_that(request: Request, error: Exception) -> Response:
        return await answer(request, 400, "Nothing can be found like that", str(error))

    async def unread(request: Request, error: Exception) -> Response:
        return await answer(request, 503, "Not everything could be read", str(error))

    async def failed(request: Request, error: Exception) -> Response:
        kind = type(error).__name__
        sys.stderr.write(
            f"dashboard: an answer could not be made ({kind}); LOG_LEVEL=DEBUG shows where.\n"
        )
        text = f"The page could not be made ({kind}). The terminal has more."
        return await answer(request, 500, "This went wrong", text)

    app = Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/pipelines/{name}", pages.pipeline),
            Route("/records", stores.records),
            Route("/records/{place}", stores.table),
            Route("/dead-letters", stores.dead_letters),
            Route("/trace", stores.find),
            Route("/trace/{asked:path}", stores.trace),
            Route("/api/overview", api.overview),
            Route("/api/pipelines/{name}", api.pipeline),
            Route("/api/pipelines/{name}/{aggregate}", api.aggregate),
            Route("/api/history/{name}", api.history),
            Route("/api/records", api.tables),
            Route("/api/records/{place}", api.rows),
            Route("/api/dead-letters", api.dead_letters),
            Route("/api/trace/{asked:path}", api.trace),
            Route("/metrics", api.metrics),
            Route("/healthz", api.health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(GZipMiddleware, minimum_size=1000),
            Middleware(Following, source=source),
        ],
        exception_handlers={
            404: not_found,
            RequestError: not_like_that,
            MillraceError: unread,
            500: failed,
        },
    )
    # Around all of it: the page of an error comes from outside of Starlette's own middleware.
    return Guard(app, password)
