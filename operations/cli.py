"""The `millrace` command; `make` targets are thin calls of it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from runtime.interrupts import CLEAR_LINE, end_on_interrupt
from runtime.output import escape_output
from runtime.surroundings import keep_private

if TYPE_CHECKING:
    from argparse import Namespace

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
# Of a program that ends by SIGPIPE.
EXIT_BROKEN_PIPE = 141
SERVICES_STAY = "what has started stays up (`make down` stops it)"
# Command -> what Ctrl-C leaves behind.
CLOSINGS = {
    "run": f"{SERVICES_STAY}, what was sent waits for the next run or job",
    "stream": f"{SERVICES_STAY}, what was sent waits for the next run or job",
    "up": SERVICES_STAY,
    "down": "what has not stopped yet stays up; run it again",
    **dict.fromkeys(
        ("chaos", "bench"), "stopping its own services; a second Ctrl-C leaves them running"
    ),
    # While they send, they have handlers of their own.
    **dict.fromkeys(("send", "generate"), "nothing was sent"),
    **dict.fromkeys(("reset", "replay", "rebuild", "compact"), "it is safe to run it again"),
}
# These commands stop what they have started, which takes longer.
CLEAN_UP_SECONDS = {"chaos": 120.0, "bench": 120.0}
# While they work, `make down` must not take the services from them.
USING_SERVICES = frozenset(
    {"run", "stream", "verify", "dead_letters", "rebuild", "replay", "compact", "reset", "pyspark"}
)
# In shells Ctrl-C ends a query, not the shell; the dashboard answers open requests first.
OWN_HANDLERS = ("cqlsh", "mongosh", "pyspark", "dashboard")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Prints expected errors without a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    name = next((word for word in words if not word.startswith("-")), "")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    closing = f"interrupted: {CLOSINGS[name]}" if name in CLOSINGS else "interrupted"
    # `make down` ends a run with SIGTERM.
    also = (signal.SIGTERM,) if name in {"run", "stream"} else ()
    end_on_interrupt(closing, (signal.SIGINT, *also), CLEAN_UP_SECONDS.get(name, 3.0))
    try:
        with _announced(name):
            # Imported here, as it takes a second: Ctrl-C already has its handler.
            from operations.options import build_parser

        keep_private()
        escape_output()
        options = build_parser().parse_args(arguments)
        if name in OWN_HANDLERS:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return _run(options)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # As with `| head`: the reader has enough. Else Python would complain while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _announced(name: str) -> Iterator[None]:
    """Let a terminal show at once that the command starts."""
    is_shown = bool(name) and sys.stderr.isatty()
    if is_shown:
        os.write(2, f"{name}: starts".encode())
    try:
        yield
    finally:
        if is_shown:
            os.write(2, CLEAR_LINE)


def _run(options: Namespace) -> int:
    from errors import MillraceError
    from operations.activity import showing
    from operations.make_names import refuse_misspelt
    from operations.needs import require_services
    from runtime.presence import seen_at_work
    from settings import Settings, load_settings

    settings: Settings | None = None
    try:
        refuse_misspelt(os.environ, Settings.model_fields)
        settings = load_settings()
        logging.basicConfig(
            level=max(logging.WARNING, logging.getLevelName(settings.log_level)),
            format="%(levelname)s %(message)s",
        )
        # Drivers log every attempt to reach a store; our error says it once.
        for chatty in ("cassandra", "pymongo", "py4j"):
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        command: Callable[[Settings, Namespace], int] = options.command
        with showing(f"{command.__name__.replace('_', '-')}: asks the services that it needs"):
            require_services(settings, options)
        with ExitStack() as kept:
            if command.__name__ in USING_SERVICES:
                sign = seen_at_work(settings.millrace_home, f"command-{command.__name__}")
                kept.enter_context(sign)
            return command(settings, options)
    except MillraceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except Exception as error:
        # Imported here, so that `millrace logs` need not load the drivers.
        from spark_jobs.sinks.driver_errors import explained

        explanation = explained(error, settings)
        if explanation is None:
            raise
        sys.stderr.write(f"{explanation}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
