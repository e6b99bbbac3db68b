"""The `millrace` command; `make` targets are thin calls of it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence

from operations.options import Command, build_parser
from settings import MillraceError, load_settings

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code. Errors are one text, never a traceback."""
    options = build_parser().parse_args(arguments)
    forgiving_output()
    settings = None
    try:
        settings = load_settings()
        logging.basicConfig(
            level=max(logging.WARNING, logging.getLevelName(settings.log_level)),
            format="%(levelname)s %(message)s",
        )
        # The drivers report each attempt to reach a store that is away; the error says it once.
        for chatty in ("cassandra", "pymongo", "py4j"):
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        command: Command = options.command
        return command(settings, options)
    except MillraceError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except Exception as error:
        # Here, so that `millrace logs` need not load the drivers.
        from spark_jobs.sinks.driver_errors import explained

        told = explained(error, settings)
        if told is None:
            raise
        sys.stderr.write(f"{told}\n")
        return EXIT_FAILED


def forgiving_output() -> None:
    """Let standard output escape what it cannot encode, such as lone surrogates in a message."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
