"""Customers: one message in, one classified row out.

Columns in:  `schemas.spark.MESSAGE_SCHEMA`
Columns out: `record_id`, `outcome` (`valid`: complete and in the USA, `filtered`: complete and
             elsewhere, `alert`: incomplete, `rejected`: unreadable, or its Kafka timestamp outside
             1970-9999), `reasons` (of `alert` and
             `rejected`), `key`, `value` (both only when rejected), the message's coordinates,
             `redrives`, then, null unless valid or alert: `customer_id`, `first_name`, `last_name`,
             `email`, `phone`, `address`, `city`, `state`, `country`, `postal_code` strings,
             `created_at` timestamp (UTC, cut to milliseconds)
Grain:       one row per message, nothing dropped, nothing added
Nulls:       in a valid record, absent or blank values; in an alert, values that are absent or
             neither string nor number, and an unreadable `created_at`, with a reason for each that
             was sent. A valid record's texts are trimmed, an alert's are kept as sent.

A message's keys may have any case; if several spell the same name, the last counts. A required
field must be a JSON string, and so must `created_at`; in any other field a number becomes its
decimal text. Anything else is `invalid_<field>`.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.contract import Contract, FieldContract, load_contract
from spark_jobs.transforms import outcomes, timestamps
from spark_jobs.transforms.layers import Layer, built_once, select_layer, with_layers
from spark_jobs.transforms.parse import (
    is_text_member,
    last_member,
    member_text_or_number,
    with_members,
)
from spark_jobs.transforms.validate import (
    is_blank,
    reason,
    reason_if_given,
    ruled_text,
    text_to_rule,
    trimmed,
)

# What readers get of a customer.
FIELDS: Final = (
    "customer_id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "address",
    "city",
    "state",
    "country",
    "postal_code",
    "created_at",
)
USA: Final = ("usa", "us", "u.s.", "u.s.a.", "united states", "united states of america")
CREATED_AT: Final = "created_at"
# The form of coordinates in `outcomes.message_columns`, which a customer's id may have too.
COORDINATES: Final = r"\A[0-9]+/[0-9]+\z"
# The contract's ISO 8601 in groups: date, time, seconds, `Z`, zone's hours, zone's minutes.
PARTS: Final = (
    r"\A([0-9-]{10})(?:[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:([Zz])|([+-][0-9]{2}):?([0-9]{2})?)?)?\z"
)


def classify_customers(messages: DataFrame) -> DataFrame:
    """Classify messages as valid, alert, filtered or rejected; see the module's docstring."""
    contract = load_contract("customer")
    return (
        with_members(messages)
        .transform(with_layers, _judging(contract))
        .transform(select_layer, _classified(contract))
    )


@built_once
def _judging(contract: Contract) -> list[Layer]:
    """Return the columns that lead to `outcome`, `reasons` and the id; expects `record`."""
    fields = {field.name: field for field in contract.fields}
    texts = [field for field in contract.fields if field.name != CREATED_AT]
    return [
        {f"sent_{name}": last_member(name)["value"] for name in fields},
        {
            **{f"_readable_{f.name}": _readable(f) for f in texts},
            **{f"_text_{f.name}": text_to_rule(f, _sent(f)) for f in texts if f.required},
            "_at_text": trimmed(_sent(fields[CREATED_AT])),
        },
        {
            **{f.name: _ruled(f) for f in texts},
            "_at_whole": _whole(fields[CREATED_AT]),
        },
        {"_at": timestamps.instant(F.col("_at_whole"), ".*")},
        {CREATED_AT: F.when(timestamps.is_in_range(F.col("_at")), F.col("_at"))},
        {"reasons": _reasons(contract.fields)},
        {"outcome": _outcome(), "_id": _record_id()},
    ]


@built_once
def _classified(contract: Contract) -> dict[str, Column | None]:
    """Return the columns of a classified customer."""
    return outcomes.message_columns("_id") | {f.name: _stored(f) for f in contract.fields}


def _ruled(field: FieldContract) -> Column:
    """Return the field's value, null if it is absent or breaks its rule."""
    sent = _sent(field)
    if field.required:
        return F.when(
            is_text_member(field.name, sent), ruled_text(field, F.col(f"_text_{field.name}"))
        )
    return F.when(~is_blank(sent), trimmed(F.col(f"_readable_{field.name}")))


def _sent(field: FieldContract) -> Column:
    return F.col(f"sent_{field.name}")


def _readable(field: FieldContract) -> Column:
    """Return a string's or number's text as sent, null for anything else."""
    return member_text_or_number(field.name, _sent(field))


def _whole(field: FieldContract) -> Column:
    """Return a timestamp with all its parts, null if the text is not in the contract's form.

    A date means its midnight; a time without a zone is UTC, whatever the session's time zone.
    """
    text = F.col("_at_text")
    date, time, seconds, zulu, hours, minutes = (
        F.regexp_extract(text, PARTS, group) for group in range(1, 7)
    )
    zone = F.when(hours == "", F.lit("Z")).otherwise(
        F.concat(hours, F.lit(":"), _or_else(minutes, "00"))
    )
    zone = F.when(zulu != "", F.lit("Z")).otherwise(zone)
    whole = F.concat(date, F.lit("T"), _or_else(time, "00:00"), _or_else(seconds, ":00"), zone)
    is_iso = text.rlike(rf"\A(?:{field.pattern})\z")
    return F.when(is_iso, whole)


def _or_else(text: Column, default: str) -> Column:
    return F.when(text == "", F.lit(default)).otherwise(text)


def _reasons(fields: tuple[FieldContract, ...]) -> Column:
    """Return all reasons in the contract's order; a dead letter has only one."""
    given = [
        (reason if field.required else reason_if_given)(field, _sent(field), F.col(field.name))
        for field in fields
    ]
    return (
        F.when(outcomes.has_invalid_timestamp(), F.array(F.lit(outcomes.INVALID_TIMESTAMP)))
        .when(F.col("record").isNull(), F.array(F.lit(outcomes.UNPARSEABLE)))
        .when(reduce(or_, (r.isNotNull() for r in given)), F.array_compact(F.array(*given)))
        .otherwise(outcomes.no_reasons())
    )


def _is_dead_letter() -> Column:
    return outcomes.has_invalid_timestamp() | F.col("record").isNull()


def _outcome() -> Column:
    is_of_usa = F.lower("country").isin(*USA)
    return (
        F.when(_is_dead_letter(), F.lit(outcomes.REJECTED))
        .when(F.size("reasons") > 0, F.lit(outcomes.ALERT))
        .when(is_of_usa, F.lit(outcomes.VALID))
        .otherwise(F.lit(outcomes.FILTERED))
    )


def _record_id() -> Column:
    """Return the id, with a leading blank if it looks like coordinates; no trimmed id has one.

    Otherwise the customer and the alert at those coordinates would count as duplicates.
    """
    customer_id = F.col("customer_id")
    looks_like_place = customer_id.rlike(COORDINATES)
    return F.when(looks_like_place, F.concat(F.lit(" "), customer_id)).otherwise(customer_id)


def _stored(field: FieldContract) -> Column:
    valid, alert = F.col("outcome") == outcomes.VALID, F.col("outcome") == outcomes.ALERT
    if field.name == CREATED_AT:
        at = timestamps.cut_to_milliseconds(F.col(CREATED_AT))
        return F.when(valid | alert, at)
    return F.when(valid, F.col(field.name)).when(alert, F.col(f"_readable_{field.name}"))
