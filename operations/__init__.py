"""What an operator runs around the pipelines: the `millrace` command and its parts.

May import everything; nothing imports it.
"""

import sys

from runtime.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()

from runtime.interrupts import end_on_interrupt  # noqa: E402

# Its other imports take a second, in which Ctrl-C may come.
if sys.argv[:1] and sys.argv[0].rpartition("/")[2] in {"millrace", "-m"}:
    end_on_interrupt("interrupted: nothing was changed")
