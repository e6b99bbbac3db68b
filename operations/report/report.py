"""`millrace report`: writes what is known of all pipelines into a page and a JSON file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from errors import MillraceError
from operations.activity import showing
from operations.overview.as_json import as_json
from operations.overview.collect import collect
from operations.overview.stores import OpenStores
from operations.report.contents import Contents, read_contents
from operations.report.page import render
from runtime.files import write_whole
from settings import Settings
from spark_jobs.registry import pipelines_of

HISTORY: Final = 120
SAMPLES: Final = 3
# Mail systems refuse larger ones.
MOST_BYTES: Final = 1_000_000
NAME: Final = "report.html"
EXIT_INCOMPLETE: Final = 1


def report(settings: Settings, output: str | None) -> int:
    """Write the report; returns 0 if everything could be read.

    Raises:
        MillraceError: the file cannot be written, or a declaration has faults.
    """
    page = page_path(settings, output)
    with OpenStores(settings) as stores, showing("reading ledger and stores"):
        overview = collect(settings, HISTORY)
        contents = read_contents(overview, pipelines_of(settings), stores, SAMPLES)
    data = page.with_suffix(".json")
    try:
        write_whole(page, page_of(contents))
        write_whole(data, json.dumps(as_json(contents), ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise MillraceError(
            f"The report cannot be written to `{page}` ({error.strerror}). `--output FILE` names"
            " another place."
        ) from error
    sys.stdout.write(f"Report: {page} ({page.stat().st_size // 1024 + 1} KB), {data}\n")
    for trouble in contents.troubles:
        sys.stderr.write(f"Not in the report: {trouble}\n")
    return EXIT_INCOMPLETE if contents.troubles else 0


def page_path(settings: Settings, output: str | None) -> Path:
    """Where the page goes: by default with the files that users read, if these are here.

    Raises:
        MillraceError: the given name is that of the JSON file, or of a folder.
    """
    if output is None:
        is_here = "://" not in settings.output_path
        return Path(settings.output_path if is_here else "output") / NAME
    page = Path(output)
    if page.suffix == ".json" or page.is_dir():
        example = page / NAME if page.is_dir() else page.with_suffix(".html")
        raise MillraceError(
            f"--output names the page, such as `{example}`; the JSON file gets the same name with"
            " `.json`."
        )
    return page


def page_of(contents: Contents) -> str:
    """The page, below `MOST_BYTES`."""
    page = render(contents)
    if len(page.encode()) > MOST_BYTES:
        page = render(contents, samples=False)
    return page
