"""What a driver's JVM is started with, apart from its command line."""

from __future__ import annotations

from typing import Any

from settings import SECRET_VARIABLES


class LaunchOptions(dict[str, Any]):
    """Options of `Popen` for the JVM, to which PySpark adds this process's whole environment.

    Secrets are left out: crash reports, tools and libraries show a JVM's environment, and it needs
    none. They stay in this process's, as other threads start producers, which do.
    """

    def __init__(self, more: dict[str, str], **options: Any) -> None:
        super().__init__(options)
        self._more = more

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "env":
            kept = {n: text for n, text in value.items() if n.upper() not in SECRET_VARIABLES}
            value = kept | self._more
        super().__setitem__(name, value)
