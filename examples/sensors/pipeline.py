"""Sensor readings: one row per sensor and moment, summed up by hour and by state."""

from millrace import (
    Aggregate,
    FileSet,
    Pipeline,
    SqlTable,
    Table,
    average,
    count,
    day,
    distinct,
    hour,
    maximum,
    minimum,
    total,
)

PIPELINE = Pipeline(
    derived={"reading_day": "to_date(at)"},
    tables=(Table("sensors.readings"), Table("sensors.readings_by_state")),
    sql_tables=(SqlTable("readings"),),
    file_sets=(
        FileSet("readings", day="at"),
        FileSet("faults", day="at", where="state = 'fault'"),
    ),
    aggregates=(
        Aggregate(
            "readings_by_hour",
            by=("sensor_id", hour("at")),
            measures={
                "count": count(),
                "coldest": minimum("temperature"),
                "warmest": maximum("temperature"),
                "average_temperature": average("temperature"),
                "average_humidity": average("humidity"),
            },
        ),
        Aggregate(
            "readings_by_state",
            by=(day("at"), "state"),
            measures={
                "count": count(),
                "sensors": distinct("sensor_id"),
                "lowest_battery": minimum("battery"),
                "battery_sum": total("battery"),
                "last_at": maximum("at"),
            },
        ),
    ),
)
