"""How large `millrace check` says that the partitions of Cassandra's tables grow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cql.declared import CassandraShape, shapes_of
from operations.check.check import check
from operations.check.column_sizes import Widths, measured, widths_of
from operations.check.partition_report import partition_report, table_sizes
from operations.check.partitions import Growth, growth
from operations.check.row_sizes import RowSize, Width, row_size
from schemas.contract import contract_from
from schemas.fields import Contract
from settings import PROJECT_ROOT, Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.registry import built_in, load_pipeline
from tests.support.pipeline_folders import EXAMPLES, cql, declaration, orders

DERIVED = 'derived={"created_day": "to_date(created_at)"}'
# What Cassandra 5.0.9 wrote for rows of the platform's own producers: bytes of the data file before
# compression, and rows in it.
MEASURED = {
    "support.tickets": 1_831_783_625 / 8_049_930,
    "support.tickets_by_team": 489_290_056 / 2_471_673,
    "usersprofilespace.users_profiles": 3_897_144 / 10_791,
    "usersprofilespace.profiles_by_nationality": 3_707_673 / 10_791,
}


def shape(columns: str) -> CassandraShape:
    return shapes_of(f"CREATE TABLE IF NOT EXISTS k.t ({columns});", "t")["k.t"]


def test_row_found_by_its_id_has_the_bytes_of_its_parts() -> None:
    table = shape("id text, word text, number int, PRIMARY KEY (id)")

    size = row_size(table, {"id": Width(36), "word": Width(10)})

    # Flags 1, size 1, size of the row before 1, write time 6, text 1 + 1 + 10, number 1 + 4.
    assert size.row == 26
    # Length 2, the id, mark of no deletion 12, mark of the end 1.
    assert size.partition == 51
    assert size.of(1) == 77


def test_row_among_others_has_its_clustering_columns_too() -> None:
    table = shape("a text, b timestamp, c uuid, d text, PRIMARY KEY ((a, b), c))")

    size = row_size(table, {"a": Width(5), "d": Width(200)})

    # Flags 1, marks of clustering 1, uuid 16, sizes 2 + 2, write time 6, text 1 + 2 + 200.
    assert size.row == 231
    # As above, with the values of both columns, each with a length and an end mark.
    assert size.partition == 15 + 5 + 3 + 8 + 3


def test_absent_values_take_no_bytes_but_a_mark() -> None:
    table = shape("id int, word text, PRIMARY KEY (id)")

    half = row_size(table, {"word": Width(10, share=0.5)})

    # Flags 1, sizes 1 + 1, write time 6, mark 1, half of 12.
    assert half.row == 16


def test_each_element_of_a_list_is_a_cell_of_its_own() -> None:
    table = shape("id int, words list<text>, PRIMARY KEY (id)")

    size = row_size(table, {"words": Width(4, elements=3)})

    # Head and write time 9, deletion before it 9, count 1, elements of 1 + 17 + 1 + 4.
    assert size.row == 9 + 10 + 3 * 23


@pytest.mark.parametrize("pipeline", [each for each in built_in() if each.tables])
def test_computed_rows_are_as_large_as_those_that_cassandra_wrote(pipeline: Pipeline) -> None:
    for each in table_sizes(pipeline, measured(pipeline)):
        key = [name for name, kind, _ in each.table.declared.key if kind == "partition_key"]
        # Of the tables with many rows in a partition, its head hardly counts.
        computed = each.size.of(1) if len(key) == 1 else each.size.row
        assert computed == pytest.approx(MEASURED[each.table.place], rel=0.03)


def contract_of(**fields: Mapping[str, object]) -> Contract:
    properties = {
        name: {"x-sensitivity": "public", "x-column": name, **given}
        for name, given in fields.items()
    }
    return contract_from("t", {"type": "object", "properties": properties})


def test_values_are_measured_in_utf8_and_absent_ones_counted() -> None:
    contract = contract_of(
        word={"type": "string"},
        digest={"type": "string", "x-sensitivity": "hashed"},
        price={"type": "string", "format": "decimal", "x-precision": 6, "x-scale": 2},
        words={"type": "array", "items": {"type": "string"}},
    )
    records = [
        {"word": "né", "digest": "a@b", "price": "3.00", "words": ["ab", "abcd"]},
        {"word": " ", "price": "3.00", "words": []},
    ]

    found = widths_of(contract, records)

    assert found["word"] == Width(3, share=0.5)
    # Sixty-four hex digits, however long the address is.
    assert found["digest"] == Width(64, share=0.5)
    # 300 takes two bytes with its sign.
    assert found["price"] == Width(6)
    assert found["words"] == Width(3, elements=1)


def test_sample_in_the_folder_is_measured_before_anything_is_made(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    assert measured(load_pipeline(folder)).origin == "10 records of sample.jsonl"

    (folder / "sample.jsonl").unlink()
    assert measured(load_pipeline(folder)).origin == "1,000 records made from the contract"


def test_text_of_which_nothing_is_known_is_assumed() -> None:
    widths, assumed = Widths({"a": Width(3)}, "").of({"a": "text", "b": "text", "c": "int"})

    assert (widths, assumed) == ({"a": Width(3), "b": Width(16)}, ["b"])


def grown(tmp_path: Path, derived: str, key: str, kind: str = "date") -> Growth:
    folder = orders(
        tmp_path,
        declaration(DERIVED, f'derived={{"bucket": "{derived}"}}'),
        cql("created_day     date", f"bucket          {kind}"),
        cql("((status, created_day), created_at, order_id)", key),
    )
    pipeline = load_pipeline(folder)
    return growth(pipeline, pipeline.tables[1])


BY_BUCKET = "((status, bucket), created_at, order_id)"


@pytest.mark.parametrize(
    ("derived", "kind", "seconds"),
    [
        ("to_date(created_at)", "date", 86_400),
        ("CAST(created_at AS DATE)", "date", 86_400),
        ("date_trunc('HOUR', created_at)", "timestamp", 3_600),
        ("date_trunc('minute', created_at)", "timestamp", 60),
        ("trunc(created_at, 'MM')", "date", 31 * 86_400),
        ("to_date(date_trunc('MONTH', created_at))", "date", 31 * 86_400),
        ("cast(date_trunc('HOUR', created_at) AS date)", "date", 86_400),
        ("year(to_date(created_at))", "int", 365 * 86_400),
        ("date_format(created_at, 'yyyy-MM')", "text", 31 * 86_400),
        ("date_format(created_at, 'yyyy-MM-dd HH')", "text", 3_600),
    ],
)
def test_column_that_is_cut_says_how_long_a_partition_is_open(
    derived: str, kind: str, seconds: float, tmp_path: Path
) -> None:
    found = grown(tmp_path, derived, BY_BUCKET, kind)

    # Five values of `status`.
    assert found == Growth(seconds, 5, even=(("status", 5),))
    assert found.rows(10) == 10 * seconds / 5


@pytest.mark.parametrize(
    "derived",
    [
        "substr(cast(created_at AS string), 1, 7)",
        "if(date(created_at) > date('2026-01-01'), 'new', 'old')",
        "date_format(created_at, 'MM-dd')",
        "date_trunc('fortnight', created_at)",
    ],
)
def test_unknown_cut_of_a_time_is_taken_for_one_that_never_ends(
    derived: str, tmp_path: Path
) -> None:
    found = grown(tmp_path, derived, BY_BUCKET, "text")

    assert (found.seconds, found.doubtful) == (None, ("bucket",))


def test_part_of_a_time_comes_again_and_never_ends_a_partition(tmp_path: Path) -> None:
    found = grown(tmp_path, "month(created_at)", BY_BUCKET, "int")

    # Five values of `status`, twelve months.
    assert (found.seconds, found.shares) == (None, 60)


def test_number_that_would_take_long_to_compute_is_no_value() -> None:
    contract = contract_of(
        price={"type": "string", "format": "decimal", "x-precision": 6, "x-scale": 2}
    )
    records = [{"price": text} for text in ("1e999999999", "1e900000", "NaN", "7")]

    # Of the last one: four bytes, and two for the number.
    assert widths_of(contract, records)["price"] == Width(6 / 4)


def test_file_of_something_else_is_no_sample_and_a_broken_one_counts_up_to_there(
    tmp_path: Path,
) -> None:
    folder = orders(tmp_path)
    (folder / "sample.csv").write_text("a,b\n1,2\n")
    assert measured(load_pipeline(folder)).origin == "10 records of sample.jsonl"

    (folder / "sample.csv").write_text('order_id,status\nA,paid\n"broken')
    assert measured(load_pipeline(folder)).origin == "1 record of sample.csv"


def test_shard_divides_and_alone_never_ends_a_partition(tmp_path: Path) -> None:
    found = grown(tmp_path, "pmod(crc32(order_id), 16)", "((bucket), order_id)", "int")

    assert (found.seconds, found.shares) == (None, 16)
    # Of ten a second, a sixteenth of what a year brings.
    assert found.rows(10) == 10 * 365 * 86_400 / 16


def test_instant_in_the_key_has_a_partition_of_its_own(tmp_path: Path) -> None:
    found = grown(tmp_path, "to_date(created_at)", "((created_at), bucket, order_id)")

    assert found.rows(10) == 1
    assert found.rows(100_000) == 100


def test_key_with_the_whole_id_has_one_row_at_any_rate() -> None:
    pipeline = load_pipeline(EXAMPLES / "orders")

    found = growth(pipeline, pipeline.tables[0])

    assert found.holds_one
    assert found.rows(100_000) == 1


def test_number_of_values_can_be_declared() -> None:
    pipeline = load_pipeline(EXAMPLES / "sensors")
    table = pipeline.tables[0]

    unknown = growth(pipeline, table)
    declared = growth(pipeline, replace(table, spread={"sensor_id": 500}))

    assert (unknown.shares, unknown.open_ended) == (1, ("sensor_id",))
    assert (declared.shares, declared.open_ended) == (500, ())
    assert declared.rows(1_000) == 172_800


def test_limits_are_a_hundred_thousand_rows_or_a_hundred_megabytes() -> None:
    hour = Growth(3_600, 4)
    small, large = RowSize(200, 40), RowSize(10_000, 0)

    assert hour.most(small) == pytest.approx(111.1, abs=0.1)
    assert (hour.exceeds(111, small), hour.exceeds(112, small)) == (False, True)
    assert (hour.shards(111, small), hour.shards(1_000, small)) == (1, 9)
    # 100 MB are ten thousand such rows.
    assert hour.most(large) == pytest.approx(11.1, abs=0.1)
    assert hour.shards(1_000, large) == 90


def test_report_has_a_row_for_each_table_and_warns_of_those_that_outgrow_the_limits() -> None:
    rows, lines = partition_report(built_in())

    assert [row[0] for row in rows] == [*MEASURED]
    by_team = rows[1]
    assert by_team[1] == "an hour, 1/4 of the records"
    amounts = ["9,000", "900,000", "90,000,000"]
    assert [cell.split(" rows, ")[0] for cell in by_team[3:6]] == amounts
    assert by_team[6] == "111 records/s"
    assert rows[0][1:2] + rows[0][6:] == ["one record", "any rate"]
    warned = [line.split(": ")[1] for line in lines if line.startswith("warning: ")]
    assert warned == ["support.tickets_by_team", "usersprofilespace.profiles_by_nationality"]
    assert lines[0] == (
        "warning: support.tickets_by_team: above 111 records/s a partition outgrows the limits. It"
        " needs 9 shards at 1,000 records/s or 900 shards at 100,000 records/s:"
        " TICKETS_BY_TEAM_SHARDS, before `make up` creates the table (docs/scaling.md)."
    )
    assert "tickets: assumed for assigned_team: records spread evenly over 4 values" in lines


def test_number_of_shards_in_the_settings_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Settings(_env_file=None, tickets_by_team_shards=8), "tickets") == 0

    printed = capsys.readouterr().out
    # A team's hour of 8 shards: 3,600 seconds of a 32nd of the records.
    assert "an hour, 1/32 of the records" in printed
    assert "above 889 records/s a partition outgrows the limits. It needs 9 shards" in printed


def test_partition_that_never_ends_is_to_be_cut_by_time(tmp_path: Path) -> None:
    folder = orders(
        tmp_path,
        declaration(DERIVED, 'derived={"bucket": "pmod(crc32(order_id), 16)"}'),
        cql("created_day     date", "bucket          int"),
        cql("((status, created_day), created_at, order_id)", BY_BUCKET),
    )

    rows, lines = partition_report([load_pipeline(folder)])

    # Five values of `status`, 16 shards, 100,000 rows in each.
    assert (rows[1][1], rows[1][-1]) == (
        "never ends; after a year, 1/80 of the records",
        "8,000,000 records",
    )
    assert lines[0] == (
        "warning: orders.orders_by_status: above 8,000,000 records a partition outgrows the limits."
        " It never ends: add a column that is cut to a day or an hour to its partition key."
    )


def test_warning_for_a_users_table_says_what_to_declare() -> None:
    _, lines = partition_report([load_pipeline(EXAMPLES / "sensors")])

    [readings] = [line for line in lines if line.startswith("warning: sensors.readings:")]
    assert "above 1.2 records/s of one sensor_id" in readings
    assert '`Table("sensors.readings", shards=…)`' in readings
    # A day has 24 hours: 1.157 times 24.
    assert readings.endswith("Cut to the hour instead, it holds 28 records/s.")


def test_check_prints_sizes_only_of_what_has_no_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(_env_file=None, pipelines_path=tmp_path)

    assert check(settings) == 0
    assert "support.tickets_by_team" in capsys.readouterr().out

    orders(tmp_path, ("contract.schema.json", '"enum": ["EUR"', '"enumm": ["EUR"'))
    assert check(settings) == 1
    assert "one partition" not in capsys.readouterr().out


def test_page_on_scaling_shows_what_is_computed() -> None:
    page = (PROJECT_ROOT / "docs/scaling.md").read_text()
    rows, _ = partition_report(built_in())

    shown = [line for line in page.splitlines() if re.match(r"\| `\w+\.\w+` \|", line)]
    assert shown == [f"| `{name}` | {' | '.join(cells)} |" for name, *cells in rows]


def test_warning_on_the_page_of_own_pipelines_is_the_one_that_is_printed() -> None:
    page = (PROJECT_ROOT / "docs/your-own-pipeline.md").read_text()
    _, lines = partition_report([load_pipeline(EXAMPLES / "orders")])

    warned = [line for line in lines if line.startswith("warning: ")]
    assert [line for line in page.splitlines() if line.startswith("warning: ")] == warned
