"""`millrace dashboard`: the page on its port, until Ctrl-C."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from typing import Final

import uvicorn

from dashboard.app import build_app
from dashboard.live import LiveSource
from errors import SettingsError, StackError
from local_stack.ports import holder
from runtime.config.addresses import LOOPBACK_HOSTS
from settings import Settings

# Open pages ask again and again, so that waiting for them would take forever.
CLOSING_SECONDS: Final = 2


def serve(settings: Settings) -> int:
    """Serve the dashboard until Ctrl-C; returns the exit code.

    Raises:
        SettingsError: other machines would reach it, without a password.
        StackError: its port is taken.
        PipelineError: a declaration has faults.
    """
    host, password = settings.dashboard_host, settings.dashboard_password
    if host not in LOOPBACK_HOSTS and not password:
        raise SettingsError(
            f"DASHBOARD_HOST: other machines could read records at `{host}`, so a password is"
            " needed. Set DASHBOARD_PASSWORD, or DASHBOARD_HOST=127.0.0.1. Nothing was started."
        )
    # The server answers open requests, and then raises the signal that ended it again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listener = _listener(host, settings.dashboard_port)
    source = LiveSource(settings)
    try:
        app = build_app(source, password)
        config = uvicorn.Config(
            app,
            # With tracebacks only for those who ask; `app` says in a line what went wrong.
            log_level="warning" if settings.log_level == "DEBUG" else "critical",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(
            f"dashboard: http://{shown}:{settings.dashboard_port}"
            f"{', with the password' if password else ''}. Ctrl-C ends it.\n"
        )
        sys.stdout.flush()
        uvicorn.Server(config).run([listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        source.close()
    sys.stdout.write("dashboard: ended\n")
    return 0


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens; before anything is loaded or asked."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if isinstance(error, PermissionError):
            text = f"The dashboard may not listen on port {port}: set DASHBOARD_PORT above 1023."
            raise StackError(text) from error
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            text = f"DASHBOARD_HOST: `{host}` is no address of this machine."
            raise SettingsError(text) from error
        raise StackError(
            f"The dashboard cannot listen on {host}:{port}: {holder(port)} holds that port."
            " Stop it, or set DASHBOARD_PORT to another port."
        ) from error
