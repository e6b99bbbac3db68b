"""Producers: generated tickets and randomuser.me profiles, on their way to Kafka."""

import os
import signal
import sys

from runtime.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()
# `python -m producers.…`: its other imports take a moment, in which Ctrl-C may come.
if sys.argv[:1] == ["-m"]:

    def _end(number: int, _frame: object) -> None:
        os.write(2, b"interrupted: nothing was sent\n")
        os._exit(128 + number)

    signal.signal(signal.SIGINT, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
