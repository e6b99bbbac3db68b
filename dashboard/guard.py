"""Who may see the dashboard, and what a browser may do with its pages."""

from __future__ import annotations

import base64
import hmac
from typing import Final

import anyio
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
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
NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
# Whoever guesses passwords waits for each answer.
WRONG_PASSWORD_SECONDS: Final = 1.0
# Programs that watch over others ask it without a password; it names services, nothing else.
OPEN_PATHS: Final = frozenset({"/healthz"})
CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="Millrace", charset="UTF-8"'}


class Guard:
    """Answers whoever may look, with headers that keep pages to themselves.

    With a password that is whoever knows it, under any user name (HTTP Basic, which Prometheus
    knows too). Without one only requests for the names of this machine are answered: a web page
    could have its own name lead here.
    """

    def __init__(self, app: ASGIApp, password: SecretStr | None = None) -> None:
        self.app, self.password = app, password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # Browsers keep styles, scripts and fonts, and ask whether they changed; what holds
                # records is kept nowhere.
                is_static = scope["path"].startswith("/static/")
                headers["Cache-Control"] = "no-cache" if is_static else "no-store"
            await send(message)

        headers = Headers(scope=scope)
        if self.password:
            refusal = await _wrong_password(scope["path"], headers, self.password)
        else:
            refusal = _wrong_name(headers)
        await (refusal or self.app)(scope, receive, send_with_headers)


async def _wrong_password(path: str, headers: Headers, password: SecretStr) -> Response | None:
    given, expected = _password_in(headers), password.get_secret_value().encode()
    if path in OPEN_PATHS or (given is not None and hmac.compare_digest(given, expected)):
        return None
    if given is not None:
        await anyio.sleep(WRONG_PASSWORD_SECONDS)
    text = "The dashboard wants a password: DASHBOARD_PASSWORD, with any user name.\n"
    return PlainTextResponse(text, 401, CHALLENGE)


def _wrong_name(headers: Headers) -> Response | None:
    host = headers.get("host", "")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() in NAMES:
        return None
    text = f"This is not `{name}`. Open the address that `make dashboard` prints.\n"
    return PlainTextResponse(text, 421)


def _password_in(headers: Headers) -> bytes | None:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except ValueError:  # No base64, or no ASCII.
        return b""
