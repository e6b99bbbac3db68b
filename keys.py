"""The key of the digests: read from settings, or created once for the embedded stack."""

from __future__ import annotations

import contextlib
import os
import secrets

from errors import SettingsError
from settings import Settings


def load_pii_hash_key(settings: Settings) -> str | None:
    """The key of the digests, which the embedded stack creates on first use.

    None in mode `sha256`, which needs no key.

    Raises:
        SettingsError: no key is set and the stack is not the embedded one.
    """
    if settings.pii_hash_mode == "sha256":
        return None
    if settings.pii_hash_key is not None:
        return settings.pii_hash_key.get_secret_value()
    if settings.stack != "embedded":
        raise SettingsError(
            "PII_HASH_KEY: missing. Digests of e-mail, phone and address need a key that stays the"
            " same; set it to a long random text, such as `openssl rand -hex 32` prints."
        )
    path = settings.millrace_home / "pii_hash_key"
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    key = path.read_text(encoding="utf-8").rstrip("\r\n")
    if not key:
        raise SettingsError(
            f"PII_HASH_KEY: the key file `{path}` is empty. Restore the former key in it; if there"
            " was none, delete the file and a new key is created."
        )
    return key
