"""Takes clients of other services than S3 out of AWS's library, nine tenths of it.

Usage: `trim_aws.py JAR`.

For the image. Kept are the services that Hadoop's S3 file system and S3's own client refer to.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

KEPT = ("dynamodbv2", "kms", "s3", "securitytoken")
OTHERS = re.compile(rf"models/|com/amazonaws/services/(?!(?:{'|'.join(KEPT)})/)[^/]+/")


def main(jar: Path) -> None:
    """Write the jar again without the other services; its files keep their times."""
    new = jar.with_suffix(".new")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as kept:
        for entry in old.infolist():
            if OTHERS.match(entry.filename) is None:
                kept.writestr(entry, old.read(entry))
    new.replace(jar)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
