"""Who may see the dashboard, and what a browser may do with its pages."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final

import anyio
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts, styles and fonts come from here alone; nothing may be inline, framed or sent elsewhere.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Whoever guesses passwords waits for each answer.
WRONG_PASSWORD_SECONDS: Final = 1.0
# Programs that watch over others ask it without a password; it names services, nothing else.
OPEN_PATHS: Final = frozenset({"/healthz"})


class SafeHeaders:
    """Adds the headers that keep pages to themselves; what holds records is not kept by caches."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class LoopbackOnly:
    """Refuses requests for other host names: a web page could have its own name lead here."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        """Wrap an application that answers to these names."""
        self.app, self.names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
            if name.lower() not in self.names:
                text = f"This is not `{name}`. Open the address that `make dashboard` prints.\n"
                await PlainTextResponse(text, 421)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class PasswordOnly:
    """Asks for the password, under any user name (HTTP Basic, which Prometheus knows too)."""

    def __init__(self, app: ASGIApp, password: SecretStr) -> None:
        """Wrap an application with a password."""
        self.app, self.password = app, password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = _password_in(Headers(scope=scope).get("authorization", ""))
            expected = self.password.get_secret_value().encode()
            if given is None or not hmac.compare_digest(given, expected):
                if given is not None:
                    await anyio.sleep(WRONG_PASSWORD_SECONDS)
                text = "The dashboard wants a password: DASHBOARD_PASSWORD, with any user name.\n"
                refused = PlainTextResponse(
                    text, 401, {"WWW-Authenticate": 'Basic realm="Millrace", charset="UTF-8"'}
                )
                await refused(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _password_in(header: str) -> bytes | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
