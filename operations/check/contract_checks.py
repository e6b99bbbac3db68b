"""What a contract may say, as stored records rely on it, and a new pipeline should not."""

from __future__ import annotations

from collections.abc import Iterator

from operations.check.fault import CONTRACT, Fault
from operations.check.folder import Folder
from schemas.patterns import safe_length


def contract_faults(folder: Folder) -> Iterator[Fault]:
    """Yield fields whose long texts are never valid, and ids that would be taken for each other."""
    for field in folder.contract.fields if folder.contract else ():
        value = field.items or field
        safe = safe_length(value.pattern, value.max_length) if value.pattern else None
        if safe is not None:
            yield Fault(
                CONTRACT,
                field.name,
                "`pattern` repeats a group, for which a long text needs more stack than Java has,"
                f" so a text of more than {safe} characters is invalid; set `maxLength` to at most"
                f" {safe}, or repeat without going back: `(…)*+`",
            )
        if field.is_id and field.epoch == "microseconds":
            yield Fault(
                CONTRACT,
                field.name,
                "`x-id` is an instant in microseconds, and instants are compared by the"
                " millisecond: ids within one are duplicates; leave `x-epoch` out, so that the id"
                " is an integer",
            )
