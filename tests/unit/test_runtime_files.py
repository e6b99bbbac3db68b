"""Files that are written whole, and logs that are read from their end."""

from __future__ import annotations

from pathlib import Path

from runtime.files import last_lines, write_whole


def test_last_lines_of_a_large_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)))

    assert last_lines(path, 2) == ["line 99998", "line 99999"]
    assert last_lines(tmp_path / "none.log", 2) == []


def test_secret_file_is_never_readable_by_others(tmp_path: Path) -> None:
    write_whole(tmp_path / "key", "secret", 0o600)

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
