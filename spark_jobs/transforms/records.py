"""Records of any contract: one message in, one classified row out.

Columns in:  `schemas.spark.MESSAGE_SCHEMA`
Columns out: `record_id`, `outcome` (`valid` or `rejected`), `reasons`, `key`, `value` (both only
             when rejected), the message's coordinates, `redrives`, then one column for each field
             with `x-column`, of the type in `schemas.types`, and `hash_key_id` if any is hashed
Grain:       one row per message, nothing dropped, nothing added
Nulls:       all fields unless the record is valid; an optional field that is absent, null or blank
             and has no default

Reasons, in the contract's order, an object before its fields:
    missing_<field>   absent, null or blank, and required; also in an optional object that is there
    invalid_<field>   there, and of a wrong type or against a rule, whether required or not; an
                      event time more than a day after the Kafka timestamp
    missing_<object>  a required object is absent that has no required field to report instead
    invalid_<object>  something other than an object; its required fields are missing as well
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from schemas.fields import Contract, FieldContract, ObjectContract, path_of
from spark_jobs.transforms import outcomes, timestamps
from spark_jobs.transforms.layers import Layer, built_once, select_layer, with_layers
from spark_jobs.transforms.marked import TEXT, Members, body, marked, marked_text
from spark_jobs.transforms.parse import with_record
from spark_jobs.transforms.pseudonymise import Digests
from spark_jobs.transforms.record_ids import id_sql
from spark_jobs.transforms.typed import Step, steps
from spark_jobs.transforms.validate import trimmed_field

# How far a producer's clock may be ahead of the broker's.
EVENT_TIME_TOLERANCE: Final = "INTERVAL 24 HOURS"


def classify_records(
    messages: DataFrame, contract: Contract, digests: Digests | None = None
) -> DataFrame:
    """Classify messages as valid or rejected records of a contract; see the module's docstring.

    Args:
        messages: One row per Kafka message.
        contract: The fields, from `schemas.contract.read_contract`.
        digests: How hashed fields become digests; needed only if the contract has any.

    Raises:
        ValueError: The contract has hashed fields, and there is no way to hash them.
    """
    judged = with_record(messages, T.StructType([])).transform(with_layers, _judging(contract))
    if _hashed(contract):
        if digests is None:
            raise ValueError(f"The {contract.name} contract has hashed fields; pass `digests`.")
        judged = judged.transform(digests.with_pads)
    return judged.transform(select_layer, _classified(contract, digests))


@built_once
def _judging(contract: Contract) -> list[Layer]:
    """Return the columns that lead to `outcome`, `reasons` and the id; expects `record`."""
    fields = _fields(contract)
    objects = [each.name for each in contract.objects]
    names = [name for field in fields for name in (field.name, *field.other_names)]
    members = Members([path_of(name) for name in [*names, *objects]])
    rejected = F.size("reasons") > 0
    outcome = F.when(rejected, F.lit(outcomes.REJECTED)).otherwise(F.lit(outcomes.VALID))
    return [
        {TEXT: marked_text()},
        *members.layers(),
        {_sent(field): _sent_text(field, members) for field in fields},
        *_value_layers(fields),
        {"reasons": _reasons(contract, fields, members)},
        {"outcome": outcome, "_id": record_id(contract.id_fields)},
    ]


@built_once
def _classified(contract: Contract, digests: Digests | None) -> dict[str, Column | None]:
    """Return the columns of a classified record."""
    columns = {f.column: F.col(_value(f)) for f in _fields(contract) if f.column is not None}
    hashed = _hashed(contract)
    if hashed and digests is not None:
        columns |= {f.column: _digest(f, digests) for f in hashed if f.column is not None}
        columns["hash_key_id"] = F.lit(digests.key_id)
    return outcomes.valid_record_columns("_id", columns)


def _fields(contract: Contract) -> list[FieldContract]:
    return [field for field in contract.fields if _is_read(field)]


def _hashed(contract: Contract) -> list[FieldContract]:
    return [f for f in _fields(contract) if f.sensitivity == "hashed" and f.column]


def record_id(fields: tuple[FieldContract, ...]) -> Column:
    """Return the id of a valid record, as text; expects the fields' values."""
    return F.expr(id_sql({_value(field): field.stored_as.spark for field in fields}))


def reason_codes(contract: Contract) -> set[str]:
    """Return every reason for which a message may be rejected; see the module's docstring."""
    fields = _fields(contract)
    invalid = [*(f.reason_suffix for f in fields), *map(_suffix, contract.objects)]
    missing = [f.reason_suffix for f in fields if _may_be_missing(f)]
    missing += [_suffix(each) for each in contract.objects if _is_reported(each, fields)]
    codes = {f"invalid_{suffix}" for suffix in invalid} | {f"missing_{s}" for s in missing}
    return codes | {outcomes.UNPARSEABLE, outcomes.INVALID_TIMESTAMP}


def _is_read(field: FieldContract) -> bool:
    return field.sensitivity != "never" and (field.column is not None or _may_be_missing(field))


def _may_be_missing(field: FieldContract) -> bool:
    return field.required or field.required_within is not None


def _is_reported(each: ObjectContract, fields: list[FieldContract]) -> bool:
    """Return whether an object's absence is a reason of its own."""
    inside = (field for field in fields if field.name.startswith(f"{each.name}."))
    return each.required and not any(field.required for field in inside)


def _suffix(each: ObjectContract) -> str:
    return each.name.replace(".", "_")


def _sent(field: FieldContract) -> str:
    return f"_sent_{field.reason_suffix}"


def _value(field: FieldContract) -> str:
    return f"_value_{field.reason_suffix}"


def _sent_text(field: FieldContract, members: Members) -> Column:
    """Return the field's marked text under its own name, else another; null if blank."""
    sent = members.sent(field.path)
    if field.other_names:
        others = F.coalesce(*(members.sent(path_of(name)) for name in field.other_names))
        from_others = F.when(others.isNotNull(), F.when(~members.has_key(field.path), others))
        sent = F.coalesce(sent, from_others)
    # A blank string leaves only its mark.
    filled = F.when(trimmed_field(sent) != "s", sent)
    return filled if field.default is None else F.coalesce(filled, F.lit(marked(field.default)))


def _value_layers(fields: list[FieldContract]) -> list[Layer]:
    """Return the steps from what was sent to the value; a layer has one step of each field."""
    ways = [(field, _steps(field)) for field in fields]
    return [
        {
            _value(field): way[depth](F.col(_value(field) if depth else _sent(field)))
            for field, way in ways
            if depth < len(way)
        }
        for depth in range(max((len(way) for _, way in ways), default=0))
    ]


def _steps(field: FieldContract) -> list[Step]:
    if not field.is_event_time:
        return steps(field)
    latest = F.col("kafka_timestamp") + F.expr(EVENT_TIME_TOLERANCE)
    latest = timestamps.utc_date(latest) if field.kind == "date" else latest
    return [*steps(field), lambda at: F.when(F.coalesce(at <= latest, F.lit(True)), at)]


def _digest(field: FieldContract, digests: Digests) -> Column:
    value = F.col(_value(field))
    if digests.key is None:
        # As received, so neither trimmed nor in another case.
        value = F.when(value.isNotNull(), body(F.col(_sent(field))))
    ways = {"email": digests.email, "phone": digests.phone, "address": digests.address}
    return ways.get(field.normalise or "text", digests.text)(value)


def _reasons(contract: Contract, fields: list[FieldContract], members: Members) -> Column:
    reasons: list[Column] = []
    ahead = list(contract.objects)
    for field in fields:
        around = [each for each in ahead if field.name.startswith(f"{each.name}.")]
        reasons += [_of_object(each, fields, members) for each in around]
        ahead = [each for each in ahead if each not in around]
        reasons.append(_of_field(field, members))
    reasons += [_of_object(each, fields, members) for each in ahead]
    found = F.array_compact(F.array(*reasons))
    return (
        F.when(outcomes.has_invalid_timestamp(), F.array(F.lit(outcomes.INVALID_TIMESTAMP)))
        .when(F.col("record").isNull(), F.array(F.lit(outcomes.UNPARSEABLE)))
        .when(reduce(or_, (reason.isNotNull() for reason in reasons)), found)
        .otherwise(outcomes.no_reasons())
    )


def _of_field(field: FieldContract, members: Members) -> Column:
    sent, value = F.col(_sent(field)), F.col(_value(field))
    reason = F.when(sent.isNotNull() & value.isNull(), F.lit(f"invalid_{field.reason_suffix}"))
    missing = F.lit(f"missing_{field.reason_suffix}")
    if field.required:
        return reason.when(sent.isNull(), missing)
    if field.required_within is None:
        return reason
    is_around = members.sent(field.required_within.split(".")).startswith("{")
    return reason.when(sent.isNull() & is_around, missing)


def _of_object(each: ObjectContract, fields: list[FieldContract], members: Members) -> Column:
    sent, suffix = members.sent(each.name.split(".")), _suffix(each)
    reason = F.when(~sent.startswith("{"), F.lit(f"invalid_{suffix}"))
    if _is_reported(each, fields):
        return reason.when(sent.isNull(), F.lit(f"missing_{suffix}"))
    return reason
