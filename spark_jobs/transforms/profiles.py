"""Profiles: one message in, one classified row out.

Columns in:  `schemas.spark.MESSAGE_SCHEMA`
Columns out: `record_id`, `outcome` (`valid`, `rejected` or `filtered`), `reasons`, `key`, `value`
             (both only when rejected), the message's coordinates, `redrives`, then, null unless
             valid: `identifiant` (lower case), `title`, `gender`, `full_name`, `username`, `email`,
             `domain_name`, `phone`, `full_address`, `age`, `inscription`, `nationality`,
             `hash_key_id`, `shard` (0-15, first hex digit of the id)
Grain:       one row per message, nothing dropped, nothing added
Nulls:       an optional field that is absent, blank, or neither string nor number; `email`, `phone`
             and `full_address` are digests, null for null

A `nat` longer than its `maxLength` is `invalid_nat`, as Cassandra limits partition keys.

Source: one object of the randomuser.me 1.4 `results` array.
"""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.contract import Contract, FieldContract, load_contract
from schemas.spark import record_schema
from spark_jobs.transforms import outcomes
from spark_jobs.transforms.age import HIGHEST_FILTERED_AGE, age_years
from spark_jobs.transforms.layers import Layer, built_once, select_layer, with_layers
from spark_jobs.transforms.parse import is_json_string, text_or_number, with_record
from spark_jobs.transforms.pseudonymise import Digests, joined_address
from spark_jobs.transforms.timestamps import instant, is_in_range, utc_date
from spark_jobs.transforms.validate import (
    all_reasons,
    reason,
    reason_if_given,
    ruled_text,
    text_to_rule,
    trimmed,
)

# The first hexadecimal digit of the id is the shard.
SHARDS: Final = 16
ADDRESS: Final = (
    "location.street.number",
    "location.street.name",
    "location.city",
    "location.state",
    "location.country",
    "location.postcode",
)


def classify_profiles(messages: DataFrame, *, digests: Digests) -> DataFrame:
    """Classify messages as valid, rejected or filtered profiles; see the module's docstring."""
    contract = load_contract("profile")
    return (
        with_record(messages, record_schema(contract))
        .transform(with_layers, _judging(contract))
        .transform(digests.with_pads)
        .transform(select_layer, _classified(contract, digests))
    )


@built_once
def _judging(contract: Contract) -> list[Layer]:
    """Return the columns that lead to `outcome`, `reasons` and `age`; expects `record`."""
    fields = [field for field in contract.fields if field.column]
    required = [field for field in fields if field.required]
    born = contract.field("dob.date")
    reasons = [reason(f, _sent(f), F.col(_name(f))) for f in required]
    values = [F.col(_name(f)) for f in required]
    for field in fields:
        if not field.required and field.max_length is not None:
            reasons.append(reason_if_given(field, F.col(_readable(field)), F.col(_name(field))))
            values.append(F.when(reasons[-1].isNull(), F.lit(True)))
    kafka_date = utc_date(F.col("kafka_timestamp"))
    outcome = (
        F.when(F.col("age") <= HIGHEST_FILTERED_AGE, F.lit(outcomes.FILTERED))
        .when(F.size("reasons") > 0, F.lit(outcomes.REJECTED))
        .otherwise(F.lit(outcomes.VALID))
    )
    return [
        {_readable(f): text_or_number(f.path, _sent(f)) for f in fields if not f.required},
        {
            "_born": instant(_sent(born), born.pattern or ""),
            **{_text(f): text_to_rule(f, _given(f)) for f in fields if f is not born},
        },
        {_text(f): ruled_text(f, F.col(_text(f))) for f in fields if f is not born},
        {_name(field): _ruled(field) for field in fields},
        {
            "reasons": all_reasons(F.col("record"), values, reasons),
            "age": age_years(F.col("dob_date"), kafka_date),
        },
        {"outcome": outcome},
    ]


@built_once
def _classified(contract: Contract, digests: Digests) -> dict[str, Column | None]:
    """Return the columns of a classified profile."""
    email = _sent(contract.field("email"))
    address = joined_address(*(F.col(name.replace(".", "_")) for name in ADDRESS))
    shard = F.conv(F.substring("login_uuid", 1, 1), SHARDS, 10)
    columns = {
        "identifiant": F.col("login_uuid"),
        "title": F.col("name_title"),
        "gender": F.col("gender"),
        "full_name": F.concat_ws(" ", "name_last", "name_first"),
        "username": F.col("login_username"),
        "email": digests.email(email),
        "domain_name": F.lower(F.substring_index(trimmed(email), "@", -1)),
        "phone": digests.phone(F.col("phone")),
        "full_address": digests.address(address),
        "age": F.col("age"),
        "inscription": F.col("registered_date"),
        "nationality": F.col("nat"),
        "hash_key_id": F.lit(digests.key_id),
        "shard": shard.cast("int"),
    }
    return outcomes.valid_record_columns("login_uuid", columns)


def _name(field: FieldContract) -> str:
    return field.reason_suffix


def _text(field: FieldContract) -> str:
    return f"_text_{field.reason_suffix}"


def _readable(field: FieldContract) -> str:
    return f"_readable_{field.reason_suffix}"


def _given(field: FieldContract) -> Column:
    return _sent(field) if field.required else F.col(_readable(field))


def _sent(field: FieldContract) -> Column:
    sent = F.col("record")
    for part in field.path:
        sent = sent[part]
    return sent


def _ruled(field: FieldContract) -> Column:
    """Return the field's value, null if it is absent or breaks its rule."""
    if not field.required:
        return F.col(_text(field))
    if field.format == "timestamp":
        born, kafka_date = utc_date(F.col("_born")), utc_date(F.col("kafka_timestamp"))
        is_past = F.coalesce(born <= kafka_date, F.lit(True))
        return F.when(is_in_range(F.col("_born")) & is_past, born)
    text = F.when(is_json_string(field.path, _sent(field)), F.col(_text(field)))
    return F.lower(text) if field.format == "uuid" else text
