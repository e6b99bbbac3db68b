"""How much the benchmarks measure. Imports no Spark: the command line takes its options here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.config.pipeline_folders import BUILT_IN

# The pipelines that are measured; nearly all rows are about the first.
MAIN_NAME, SECOND_NAME = BUILT_IN[:2]
LONG_RECORDS: Final = 10_000_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured: records of each pipeline, rounds, and whether jobs are too."""

    # Just under a round number, whose rounding would leave an extra batch of a message or two.
    main: int = 199_900
    second: int = 99_900
    rounds: int = 2
    jobs: bool = True

    @property
    def records(self) -> dict[str, int]:
        """Pipeline -> records on its topic."""
        return {MAIN_NAME: self.main, SECOND_NAME: self.second}
