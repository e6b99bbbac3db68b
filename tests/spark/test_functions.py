"""Column functions: instants, dates, ages, teams, white space, digests' normal forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from operations.new.texts import of_texts
from schemas.contract import load_contract
from spark_jobs.transforms import timestamps
from spark_jobs.transforms.age import age_years
from spark_jobs.transforms.pseudonymise import (
    joined_address,
    normalised_address,
    normalised_phone,
)
from spark_jobs.transforms.routing import TEAMS, assigned_team
from spark_jobs.transforms.validate import is_blank, ruled_text, text_to_rule, trimmed


def answers(
    spark: SparkSession,
    function: Callable[..., Column],
    table: list[tuple[Any, ...]],
    types: str = "string",
) -> list[tuple[Any, ...]]:
    """Rows of arguments, each with what the function makes of them; to be compared with `table`."""
    width = len(table[0]) - 1
    names = [f"_{i}" for i in range(width)]
    kinds = types.split(",") * width if "," not in types else types.split(",")
    schema = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds[:width], strict=True))
    rows = spark.createDataFrame([row[:-1] for row in table], schema)
    return [tuple(row) for row in rows.select("*", function(*map(F.col, names))).collect()]


def test_a_text_that_does_not_fit_the_format_of_a_declared_date_is_null(
    spark: SparkSession,
) -> None:
    table = [
        ("22.11.2026", date(2026, 11, 22)),
        ("22.11.26", None),
        ("22.11.2026 10:00", None),
        ("32.11.2026", None),
    ]

    assert answers(spark, lambda text: F.to_date(text, "dd.MM.yyyy"), table) == table


def test_a_proposed_time_never_depends_on_the_day_on_which_it_is_read(spark: SparkSession) -> None:
    proposed = of_texts(["2026-01-02 03:04"], ["at"], "in the only record").moment
    assert proposed is not None
    sql = f"cast({proposed[1].format('_1')} AS string)"
    table = [
        ("2026-01-02 03:04", "2026-01-02 03:04:00"),
        ("2026-01-02 03:04:05+01:00", "2026-01-02 02:04:05"),
        ("10:11", None),
        ("T10:11:12", None),
        ("soon", None),
        (None, None),
    ]

    rows = spark.createDataFrame([row[:1] for row in table], "_1 string")

    assert [tuple(row) for row in rows.select("_1", F.expr(sql)).collect()] == table


def test_timestamps_are_read_in_the_contracts_form_only(spark: SparkSession) -> None:
    table = [
        (None, None),
        ("", None),
        ("soon", None),
        ("2026-11-22T10:11:12Z", "2026-11-22 10:11:12"),
        ("2026-11-22t10:11:12z", "2026-11-22 10:11:12"),
        ("2026-11-22T10:11:12.5Z", "2026-11-22 10:11:12.5"),
        ("2026-11-22T10:11:12.123456999Z", "2026-11-22 10:11:12.123456"),
        ("2026-11-22T10:11:12.1234567890123456789+01:00", "2026-11-22 09:11:12.123456"),
        ("2026-11-22T10:11:12+0130", "2026-11-22 08:41:12"),
        ("2026-11-22T10:11:12.0000001-0130", "2026-11-22 11:41:12"),
        ("2026-11-22T10:11:12-00:00", "2026-11-22 10:11:12"),
        ("2026-11-22T10:11:12+18:00", "2026-11-21 16:11:12"),
        ("2026-11-22T10:11:12-1800", "2026-11-23 04:11:12"),
        ("2026-11-22T10:11:12+18:01", None),
        ("2026-11-22T10:11:12+19:00", None),
        ("2026-11-22T10:11:12+01:60", None),
        ("2026-11-22T10:11:12+01", None),
        ("2026-11-22T10:11:12", None),
        ("2026-11-22T10:11:12.Z", None),
        ("2026-11-22T10:11:12,5Z", None),
        ("2026-11-22T10:11Z", None),
        ("2026-11-22 10:11:12Z", None),
        ("2026-11-22", None),
        ("2026-11-22T10:11:12 Europe/Paris", None),
        ("2026-11-22T10:11:12UTC", None),
        (" 2026-11-22T10:11:12Z", None),
        ("2026-11-22T10:11:12Z\n", None),
        ("٢٠٢٦-11-22T10:11:12Z", None),
        ("2026-02-30T10:11:12Z", None),
        ("2026-02-29T10:11:12Z", None),
        ("2024-02-29T10:11:12Z", "2024-02-29 10:11:12"),
        ("2026-13-01T10:11:12Z", None),
        ("2026-00-01T10:11:12Z", None),
        ("2026-11-22T24:00:00Z", None),
        ("2026-11-22T23:59:60Z", None),
        ("2026-11-22T10:60:00Z", None),
        ("1900-01-01T00:00:00Z", "1900-01-01 00:00:00"),
        ("1899-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999"),
        ("10000-01-01T00:00:00Z", None),
        ("+2026-11-22T10:11:12Z", None),
        ("0000-11-22T10:11:12Z", None),
    ]
    pattern = load_contract("ticket").field("created_at").pattern
    assert pattern is not None

    got = answers(spark, lambda text: timestamps.instant(text, pattern).cast("string"), table)

    assert got == table


def test_the_year_holds_in_utc_too(spark: SparkSession) -> None:
    table = [
        (None, None),
        ("1900-01-01T00:59:59+01:00", False),
        ("1900-01-01T01:00:00+01:00", True),
        ("9999-12-31T22:59:59.999-01:00", True),
        ("9999-12-31T23:00:00-01:00", False),
    ]
    pattern = load_contract("ticket").field("created_at").pattern
    assert pattern is not None

    got = answers(
        spark, lambda text: timestamps.is_in_range(timestamps.instant(text, pattern)), table
    )

    assert got == table


def test_instants_are_cut_not_rounded_and_hours_and_dates_are_utc(spark: SparkSession) -> None:
    table = [
        (None, None),
        ("2026-11-22T23:59:59.999999Z", "2026-11-22 23:59:59.999|2026-11-22 23:00:00|2026-11-22"),
        ("2026-11-22T00:30:00+05:30", "2026-11-21 19:00:00|2026-11-21 19:00:00|2026-11-21"),
        ("1969-12-31T23:59:59.9996Z", "1969-12-31 23:59:59.999|1969-12-31 23:00:00|1969-12-31"),
        ("1900-01-01T00:00:00Z", "1900-01-01 00:00:00|1900-01-01 00:00:00|1900-01-01"),
    ]

    def parts(text: Column) -> Column:
        at = text.cast("timestamp")
        cut, hour = timestamps.cut_to_milliseconds(at), timestamps.utc_hour(at)
        texts = [column.cast("string") for column in (cut, hour, timestamps.utc_date(at))]
        return F.when(at.isNotNull(), F.concat_ws("|", *texts))

    assert answers(spark, parts, table) == table


def test_utc_dates_and_hours_do_not_follow_the_session(spark: SparkSession) -> None:
    at = F.lit("2026-11-22T20:45:00Z").cast("timestamp")
    epoch = F.unix_seconds(timestamps.utc_hour(at))
    spark.conf.set("spark.sql.session.timeZone", "Asia/Kathmandu")
    try:
        row = spark.range(1).select(timestamps.utc_date(at), epoch).first()
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")

    # 2026-11-22T20:00:00Z
    assert row == (date(2026, 11, 22), 1795377600)


def test_a_year_is_full_on_the_birthday(spark: SparkSession) -> None:
    born, leap = date(2000, 5, 17), date(2012, 2, 29)
    table = [
        (None, date(2026, 1, 1), None),
        (born, None, None),
        (born, date(2000, 5, 17), 0),
        (born, date(2026, 5, 16), 25),
        (born, date(2026, 5, 17), 26),
        (born, date(2026, 4, 30), 25),
        (born, date(2026, 6, 1), 26),
        (date(1999, 12, 31), date(2000, 1, 1), 0),
        (leap, date(2013, 2, 28), 0),
        (leap, date(2013, 3, 1), 1),
        (leap, date(2016, 2, 28), 3),
        (leap, date(2016, 2, 29), 4),
        (leap, date(2026, 2, 28), 13),
        (leap, date(2026, 3, 1), 14),
        (date(2011, 2, 28), date(2024, 2, 28), 13),
        (date(1900, 1, 1), date(2026, 11, 22), 126),
        (born, date(2000, 5, 16), -1),
    ]

    assert answers(spark, age_years, table, "date") == table


def test_every_request_type_has_its_team(spark: SparkSession) -> None:
    table = [
        (None, None),
        ("billing", "Billing"),
        ("technical", "Technical Support"),
        ("account", "Account Management"),
        ("general", "Customer Service"),
        ("Billing", None),
        ("sales", None),
    ]

    assert answers(spark, assigned_team, table) == table
    assert tuple(TEAMS) == load_contract("ticket").field("request_type").values


def test_white_space_is_unicodes(spark: SparkSession) -> None:
    table = [
        (None, None),
        ("", ""),
        ("\t\n\x0b\x0c\r \x85\xa0", ""),
        ("\u1680\u2000\u2005\u200a\u2028\u2029\u202f\u205f\u3000", ""),
        ("\u3000 a \u00a0b\u2009", "a \u00a0b"),
        # Not White_Space: zero width space, byte order mark, Mongolian vowel separator, controls.
        ("\u200ba\ufeff", "\u200ba\ufeff"),
        ("\u180ea\x1c", "\u180ea\x1c"),
        ("\0", "\0"),
        ("\U0001f600 ", "\U0001f600"),
    ]

    assert answers(spark, trimmed, table) == table
    blank = [(None, True), ("", True), ("\u2003\x85", True), ("\u200b", False), ("x", False)]
    assert answers(spark, is_blank, blank) == blank


def test_length_counts_characters_not_bytes(spark: SparkSession) -> None:
    field = replace(load_contract("ticket").field("request"), min_length=3, max_length=5)
    table = [
        (None, None),
        ("ab", None),
        ("abc", "abc"),
        ("abcde", "abcde"),
        ("abcdef", None),
        # Two bytes each, then four.
        ("éé", None),
        ("ééé", "ééé"),
        ("ééééé", "ééééé"),
        ("éééééé", None),
        ("😀", None),
        ("😀😀", None),
        ("😀😀😀", "😀😀😀"),
        ("😀😀😀😀😀", "😀😀😀😀😀"),
        ("😀😀😀😀😀😀", None),
        ("a😀é", "a😀é"),
        # Trimmed before it is counted.
        (" abc  ", "abc"),
        ("\u3000ab\u3000", None),
    ]

    def ruled(sent: Column) -> Column:
        return ruled_text(field, text_to_rule(field, sent))

    assert answers(spark, ruled, table) == table


def test_phones_keep_digits_and_a_leading_plus(spark: SparkSession) -> None:
    table = [
        (None, None),
        ("", None),
        ("+", None),
        ("none", None),
        ("+33 (0)1-42", "+330142"),
        ("\u00a0+33 1", "+331"),
        ("(+33) 1", "331"),
        ("01-42+5", "01425"),
        ("٣3", "3"),
    ]

    assert answers(spark, normalised_phone, table) == table


def test_addresses_leave_out_absent_parts_and_collapse_white_space(
    spark: SparkSession,
) -> None:
    joined = [
        (None, None, None, None, None, None, None),
        ("12", "Rue X", "Paris", "IDF", "France", "75002", "12 Rue X, Paris, IDF, France, 75002"),
        (None, "Rue X", "Paris", None, "France", None, "Rue X, Paris, France"),
        ("12", None, None, None, None, "75002", "12, 75002"),
        (None, None, None, "IDF", None, None, "IDF"),
    ]
    normal = [
        (None, None),
        ("12  Rue\u00a0\n X, ÎLE ", "12 rue x, île"),
        ("\u30009 A", "9 a"),
    ]

    assert answers(spark, joined_address, joined) == joined
    assert answers(spark, normalised_address, normal) == normal
