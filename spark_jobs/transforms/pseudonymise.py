"""Digests of e-mail, phone and address, without a UDF and without the key in any plan.

HMAC-SHA256 (RFC 2104) is two rounds of SHA-256 over pads, which are the key XOR a constant and as
secret as the key. As literals they would be readable in `explain`, in the SQL tab and in event logs
(`spark.sql.redaction.string.regex` covers only some of these). So they travel as data: one row,
broadcast and joined, whose plan shows only column names.

Digests are pseudonyms, not anonymous: anyone who has the key can test a guess.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.contract import WHITE_SPACE
from spark_jobs.transforms.validate import trimmed

SHA256_BLOCK_BYTES: Final = 64
KEY_ID_PREFIX: Final = "millrace-key-id:"
INNER_MASK: Final = 0x36
OUTER_MASK: Final = 0x5C
PADS: Final = ("_inner_pad", "_outer_pad")
# A VALUES table becomes a local relation of one row, for which no executor starts Python.
PADS_QUERY: Final = (
    "SELECT * FROM VALUES (:_inner_pad, :_outer_pad) AS pads (_inner_pad, _outer_pad)"
)


@dataclass(frozen=True)
class Digests:
    """How sensitive values become digests.

    Attributes:
        key: Key of HMAC-SHA256 as UTF-8 bytes, or None for plain SHA-256 of values as received.
        key_id: Stored with the digests to distinguish keys; reveals nothing about the key.
    """

    key: bytes | None = field(repr=False)
    key_id: str

    @classmethod
    def hmac_sha256(cls, key: str) -> Digests:
        """Digest normalised values under a key.

        Raises:
            ValueError: The key is empty.
        """
        if not key:
            raise ValueError("The key of the digests is empty. Set `PII_HASH_KEY`.")
        identity = hashlib.sha256((KEY_ID_PREFIX + key).encode()).hexdigest()
        return cls(key.encode(), identity[:8])

    @classmethod
    def sha256(cls) -> Digests:
        """Digest values as received, without a key, for data already hashed that way."""
        return cls(None, "sha256")

    def with_pads(self, records: DataFrame) -> DataFrame:
        """Add the columns that `digest` needs; none in `sha256` mode."""
        if self.key is None:
            return records
        return records.crossJoin(F.broadcast(self._pads(records.sparkSession)))

    def digest(self, text: Column) -> Column:
        """Return the lower-case hex digest of a text; null for null."""
        utf8 = text.cast("binary")
        if self.key is None:
            return F.sha2(utf8, 256)
        inner_pad, outer_pad = map(F.col, PADS)
        inner = F.unhex(F.sha2(F.concat(inner_pad, utf8), 256))
        return F.sha2(F.concat(outer_pad, inner), 256)

    def email(self, text: Column) -> Column:
        """Digest an e-mail address, trimmed and in lower case; as received if there is no key."""
        return self.digest(text if self.key is None else F.lower(trimmed(text)))

    def phone(self, text: Column) -> Column:
        """Digest a phone number's digits and leading `+`; as received if there is no key."""
        return self.digest(text if self.key is None else normalised_phone(text))

    def address(self, text: Column) -> Column:
        """Digest an address from `joined_address`; not normalised if there is no key."""
        return self.digest(text if self.key is None else normalised_address(text))

    def text(self, text: Column) -> Column:
        """Digest any other text, trimmed; as received if there is no key."""
        return self.digest(text if self.key is None else trimmed(text))

    def _pads(self, spark: SparkSession) -> DataFrame:
        key = self.key or b""
        block = hashlib.sha256(key).digest() if len(key) > SHA256_BLOCK_BYTES else key
        block = block.ljust(SHA256_BLOCK_BYTES, b"\0")
        pads = {
            name: bytearray(byte ^ mask for byte in block)
            for name, mask in zip(PADS, (INNER_MASK, OUTER_MASK), strict=True)
        }
        # As parameters, because Spark logs the text of the query.
        return spark.sql(PADS_QUERY, args=dict(pads))


def normalised_phone(text: Column) -> Column:
    """Keep ASCII digits and a leading `+`; null without any digit."""
    digits = F.regexp_replace(text, "[^0-9]+", "")
    plus = F.when(trimmed(text).startswith("+"), F.lit("+")).otherwise(F.lit(""))
    return F.when(digits != "", F.concat(plus, digits))


def normalised_address(text: Column) -> Column:
    """Turn runs of white space into one blank, trim, convert to lower case."""
    return F.lower(trimmed(F.regexp_replace(text, f"[{WHITE_SPACE}]+", " ")))


def joined_address(
    number: Column, street: Column, city: Column, state: Column, country: Column, postcode: Column
) -> Column:
    """Return `<number> <street>, <city>, <state>, <country>, <postcode>`, absent parts left out.

    Null when every part is null.
    """
    line = F.nullif(F.concat_ws(" ", number, street), F.lit(""))
    return F.nullif(F.concat_ws(", ", line, city, state, country, postcode), F.lit(""))
