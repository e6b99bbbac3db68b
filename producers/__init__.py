"""Producers: send generated tickets, randomuser.me profiles and customer files to Kafka."""

import os
import signal
import sys

from runtime.surroundings import drop_shadows

# Before any import that a module on PYTHONPATH could shadow.
drop_shadows()
# `python -m producers.…`: the other imports take a moment, during which Ctrl-C may be pressed.
if sys.argv[:1] == ["-m"]:

    def _end(number: int, _frame: object) -> None:
        os.write(2, b"interrupted: nothing was sent\n")
        os._exit(128 + number)

    signal.signal(signal.SIGINT, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
