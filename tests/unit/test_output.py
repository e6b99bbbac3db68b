"""What terminals obey never reaches them, whoever quotes it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from operations.tables import print_records, print_table
from runtime.output import EscapedOutput, escaped, in_one_line
from settings import PROJECT_ROOT

# A title of the window, one character that begins it too, a break of lines, a turn of direction.
HOSTILE = "a\x1b]0;gone\x07b\x9bc\x7fd\u2028e\u202ef\u2066g\rh\ni\tj"
SHOWN = r"a\x1b]0;gone\x07b\u009bc\u007fd\u2028e\u202ef\u2066g\x0dh"
IN_LINE = SHOWN.replace(r"\x0d", r"\r") + r"\ni\tj"
PROGRAM = """
import sys
from operations.tables import print_records, print_table, say
from runtime.output import escape_output
hostile = {hostile!r}
escape_output()
say(hostile)
print_table(hostile, [hostile], [[hostile]])
for form in ("table", "vertical", "csv", "json"):
    print_records([{{hostile: hostile}}], form, title=hostile, columns=["all"])
sys.stderr.write(hostile)
raise SystemExit(hostile)
"""


def unsafe(text: str) -> set[str]:
    """Control characters other than tabs, line ends and rich's own colours."""
    plain = text.replace("\r\n", "\n").replace("\x1b[3m", "").replace("\x1b[0m", "")
    plain = plain.replace("\x1b[1m", "")
    ranges = [(0, 32), (127, 160), (0x2028, 0x202F), (0x2066, 0x206A)]
    return {c for c in plain if any(a <= ord(c) < b for a, b in ranges)} - {"\n", "\t"}


def test_controls_are_shown_as_escapes_and_other_text_as_it_is() -> None:
    assert escaped(HOSTILE) == f"{SHOWN}\ni\tj"
    assert in_one_line(HOSTILE) == IN_LINE
    assert escaped("Zoë\t€ 🎉 עברית\r\n") == "Zoë\t€ 🎉 עברית\r\n"
    for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029):
        assert in_one_line(chr(code)).isprintable()
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C):
        assert escaped(chr(code)) == f"\\u{code:04x}"


def test_a_document_keeps_its_values() -> None:
    printed = json.dumps({HOSTILE: [HOSTILE]}, ensure_ascii=False)

    assert json.loads(escaped(printed)) == {HOSTILE: [HOSTILE]}


def test_nothing_on_a_terminal_is_obeyed() -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", PROGRAM.format(hostile=HOSTILE)]
    with subprocess.Popen(program, cwd=PROJECT_ROOT, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        found = b""
        try:
            while part := os.read(ours, 65_536):
                found += part
        except OSError:  # the end, on Linux
            pass
    text = found.decode()

    assert process.returncode == 1
    assert unsafe(text) == set()
    assert text.count("gone") >= 12
    as_json = text.count(r"\u001b]0;gone\u0007")
    assert (text.count(r"\x1b]0;gone\x07"), as_json) == (text.count("gone") - 2, 2)


def test_files_and_pipes_get_whole_values_in_csv_and_json_and_escapes_elsewhere() -> None:
    program = PROGRAM.format(hostile=HOSTILE)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, check=False
    )
    text, errors = done.stdout.decode(), done.stderr.decode()

    csv_lines = f'"{HOSTILE}"\n"{HOSTILE}"\n'
    assert csv_lines in text
    rest = text.replace(csv_lines, "")
    assert unsafe(rest) == set()
    assert json.loads(rest.splitlines()[-1]) == {HOSTILE: HOSTILE}
    assert unsafe(errors) == set()


def test_help_of_rich_is_not_escaped_where_it_draws(capsys: pytest.CaptureFixture[str]) -> None:
    output = EscapedOutput(sys.stdout)

    Console(file=output.plain, force_terminal=True).print("[bold]x[/bold]")
    output.writelines(["\x1b[1m", "y"])

    assert capsys.readouterr().out == "\x1b[1mx\x1b[0m\n\\x1b[1my"


def test_texts_that_spreadsheets_take_for_formulas_begin_with_an_apostrophe_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "a=1", "", "'"]
    rows = [{"text": text, "number": -1.5, "+name": None} for text in texts]

    print_records(rows, "csv")
    assert "'=" not in capsys.readouterr().out
    print_records(rows, "csv", excel_safe=True)
    safe = capsys.readouterr().out

    assert safe.splitlines()[0] == "text,number,'+name"
    assert [line.split(",")[0] for line in safe.split("\n")[1:-1]] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\tx", "\"'\rx\"", "'＝1", "a=1", '""', "'",
    ]  # fmt: skip
    assert all(line.endswith(",-1.5,") for line in safe.split("\n")[1:-1])


def test_records_of_a_store_stay_in_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ["id"], [["A\n\x1b[2Jverified"]])

    assert r"│ A\n\x1b[2Jverified │" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["operations.cli", "status"], ["producers.tickets"], ["spark_jobs.tickets"]]
)
def test_every_program_escapes_what_it_quotes(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=PROJECT_ROOT,
        env=os.environ | {"SINKS": "\x1b[2j"},
        capture_output=True,
        check=False,
    )

    assert done.returncode != 0
    assert rb"SINKS: `\x1b[2j` is not a sink" in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
