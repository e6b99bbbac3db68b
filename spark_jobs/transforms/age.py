"""Ages in full calendar years, and their bands."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

# Only people older than this are stored.
HIGHEST_FILTERED_AGE: Final = 13
# Band and its lowest age, highest first.
AGE_BANDS: Final = (
    ("65+", 65),
    ("55-64", 55),
    ("45-54", 45),
    ("35-44", 35),
    ("25-34", 25),
    ("18-24", 18),
    ("14-17", 14),
)


def age_years(birth: Column, as_of: Column) -> Column:
    """Return the full calendar years between two dates; null when either is null.

    Month and day are compared as numbers, so someone born on 29 February is a year older on
    1 March in common years (`months_between` would say 28 February).
    """
    birthday, today = (F.month(d) * 100 + F.dayofmonth(d) for d in (birth, as_of))
    return F.year(as_of) - F.year(birth) - (today < birthday).cast("int")
