r"""Strict JSON: one object per message, in native column functions.

Columns in:  `value` binary, and any others, which are passed through
Columns out: `text` string, the value read as UTF-8; `record` struct, the contract's fields as text,
             null when the value is not exactly one JSON object in valid UTF-8
Grain:       one row per message, none dropped

`from_json` alone accepts trailing text, a second object and malformed UTF-8, and turns `null`, a
number or an array into a struct of nulls. So the text is read as the second of three elements of an
array, between two seals: objects that contain the message's hash. A text that is not an object
makes the array corrupt; one that closes the array, opens another or adds elements to it misplaces a
seal.

`from_json` also turns numbers, objects, arrays and booleans into text if the schema says text.
So whether a value was a JSON string, and the digits of a number that is no integer, are read again
from the marked text, but only if the text could have been something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_jobs.transforms.layers import Layer, built_once, once, with_layers
from spark_jobs.transforms.marked import (
    JSON_OPTIONS,
    marked_at,
    marks,
    plain_number,
)

# Texts that `from_json` may have made from something other than a JSON string. Jackson writes a
# number beyond the range of doubles as "Infinity", with quotes.
NOT_TEXT: Final = r"""(?s)\A(?:[{\[].*|-?[0-9][0-9.eE+-]*+|true|false|"-?Infinity")\z"""
# The same without integers, whose digits are as sent; other numbers have become doubles.
NOT_AS_SENT: Final = (
    r"""(?s)\A(?:[{\[].*|-?[0-9]++[.][0-9]++(?:E-?[0-9]++)?|true|false|"-?Infinity")\z"""
)
# Both patterns begin with one of these; few texts do.
FIRST_OF_NO_TEXT: Final = '{["-0123456789tf'
# The only member of the two seals.
SEAL: Final = "_seal"


def with_record(messages: DataFrame, schema: T.StructType) -> DataFrame:
    """Add `text` and `record`; see the module's docstring."""
    return with_layers(messages, _record_layers(schema))


@built_once
def _record_layers(schema: T.StructType) -> list[Layer]:
    """Return the columns that read a record.

    A parent that is not an object counts as absent: `from_json` reports such a message as corrupt,
    and only those are read a second time, parent by parent.
    """
    sealed = T.StructType([*schema.fields, *_texts(SEAL).fields])
    layers = [_parsed_layer(sealed)]
    record = F.when(_is_one_object("_parsed"), F.col("_parsed.o")[1])
    if any(isinstance(field.dataType, T.StructType) for field in schema.fields):
        is_corrupt = F.col("_parsed._corrupt").isNotNull()
        layers.append({"_outer": F.when(is_corrupt, _parsed(_texts(*sealed.names)))})
        outer = _rebuilt(F.col("_outer.o")[1], sealed, ())
        record = record.when(_is_one_object("_outer"), outer)
    return [*layers, {"record": record}]


def with_members(messages: DataFrame) -> DataFrame:
    """Add `text` and `record`, a map of the object's members as text, in their order.

    Repeated keys stay, as Spark builds the map without checking for them; `last_member` chooses.
    """
    return with_layers(messages, _member_layers())


@built_once
def _member_layers() -> list[Layer]:
    parsed = _parsed_layer(T.MapType(T.StringType(), T.StringType()))
    return [parsed, {"record": F.when(_is_one_object("_parsed"), F.col("_parsed.o")[1])}]


def last_member(name: str) -> Column:
    """Return the last member with that name in any case, as `key` and `value`; null if none."""
    return F.try_element_at(_members(name), F.lit(-1))


def is_text_member(name: str, sent: Column) -> Column:
    """Return whether the last member with that name in any case was a JSON string; not for null."""
    return _was_text(sent, _marked_member(name))


def member_text_or_number(name: str, sent: Column) -> Column:
    """Return the text of the last member with that name in any case, like `text_or_number`."""
    return _text_or_number(sent, _marked_member(name))


def is_json_string(path: Sequence[str], sent: Column) -> Column:
    """Return whether the field at `path`, whose text is `sent`, was a JSON string; not for null."""
    return _was_text(sent, marked_at(path))


def text_or_number(path: Sequence[str], sent: Column) -> Column:
    """Return the text of an optional field, null if it was neither string nor number.

    A number has the digits that were sent, without an exponent.
    """
    return _text_or_number(sent, marked_at(path))


def _was_text(sent: Column, marked: Column) -> Column:
    is_string = F.when(_is_like(sent, NOT_TEXT), marked.startswith("s"))
    return F.coalesce(is_string.otherwise(sent.isNotNull()), F.lit(False))


def _text_or_number(sent: Column, marked: Column) -> Column:
    def of_marked(found: Column) -> Column:
        number = F.when(found.startswith("n"), plain_number(found))
        return F.when(found.startswith("s"), sent).otherwise(number)

    return F.when(_is_like(sent, NOT_AS_SENT), once(marked, of_marked)).otherwise(sent)


def _is_like(sent: Column, pattern: str) -> Column:
    return F.lit(FIRST_OF_NO_TEXT).contains(sent.substr(1, 1)) & sent.rlike(pattern)


def _members(name: str) -> Column:
    return F.filter(F.map_entries("record"), lambda member: F.lower(member["key"]) == name)


def _marked_member(name: str) -> Column:
    members = F.from_json(marks(), "map<string,string>", JSON_OPTIONS)
    same = F.filter(F.map_entries(members), lambda each: F.lower(each["key"]) == f"s{name}")
    return F.try_element_at(same, F.lit(-1))["value"]


def has_key(name: str) -> Column:
    """Return whether the message's object has that key, even with a null value."""
    return F.array_contains(F.json_object_keys(F.col("text")), name)


def _parsed_layer(element: T.DataType) -> Layer:
    return {"text": F.col("value").cast("string"), "_parsed": _parsed(element)}


def _parsed(element: T.DataType) -> Column:
    """Read the text between two seals as an array `o` of three; `_corrupt` is null if it is one."""
    elements = F.concat(_sealed(), F.lit(","), F.col("value").cast("string"), F.lit(","), _sealed())
    array = F.concat(F.lit('{"o":['), elements, F.lit("]}"))
    wrapper = T.StructType().add("o", T.ArrayType(element)).add("_corrupt", T.StringType())
    return F.from_json(array, wrapper, JSON_OPTIONS)


def _seal() -> Column:
    return F.xxhash64("value").cast("string")


def _sealed() -> Column:
    return F.concat(F.lit(f'{{"{SEAL}":"'), _seal(), F.lit('"}'))


def _is_one_object(parsed: str) -> Column:
    """Return whether the text was one object, or `null`, which also makes the record null."""
    found, seal = F.col(f"{parsed}.o"), _seal()
    return F.coalesce(
        F.col(f"{parsed}._corrupt").isNull()
        & (F.size(found) == 3)
        & (found[0][SEAL] == seal)
        & (found[2][SEAL] == seal)
        & _is_utf8(),
        F.lit(False),
    )


def _is_utf8() -> Column:
    # Decoding replaces malformed bytes; casting to string keeps them.
    return F.decode(F.col("value"), "UTF-8") == F.col("value").cast("string")


def _texts(*names: str) -> T.StructType:
    return T.StructType([T.StructField(name, T.StringType()) for name in names])


def _rebuilt(outer: Column, schema: T.StructType, path: tuple[str, ...]) -> Column:
    """Build the struct `schema` from a struct of texts; parents that are no object become null."""
    members = []
    for field in schema.fields:
        sent, inside = outer[field.name], (*path, field.name)
        if isinstance(field.dataType, T.StructType):
            inner = F.from_json(sent, _texts(*field.dataType.names), JSON_OPTIONS)
            is_object = sent.startswith("{") & ~is_json_string(inside, sent)
            sent = F.when(is_object, _rebuilt(inner, field.dataType, inside))
        members.append(sent.alias(field.name))
    return F.struct(*members)
