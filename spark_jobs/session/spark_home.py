"""The Spark that submits a job to a cluster: SPARK_HOME, or else PySpark's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pyspark

from errors import JobError

SPARK_VERSION: Final = ".".join(pyspark.__version__.split(".")[:2])


def spark_home() -> Path:
    """The folder of the Spark that submits: SPARK_HOME, or else the one that came with PySpark.

    Raises:
        JobError: SPARK_HOME holds another version.
    """
    given = os.environ.get("SPARK_HOME")
    if not given:
        return Path(pyspark.__file__).parent
    home = Path(given)
    if not [*(home / "jars").glob(f"spark-core_2.12-{SPARK_VERSION}.*.jar")]:
        raise JobError(
            f"SPARK_HOME is `{home}`, which is not Spark {SPARK_VERSION} for Scala 2.12. Set it to"
            " one, or unset it: Millrace brings its own."
        )
    return home
