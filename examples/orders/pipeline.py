"""Orders: amounts in a currency, a customer, and what was ordered; test orders are left out."""

from millrace import (
    Aggregate,
    FileSet,
    Pipeline,
    SqlTable,
    Table,
    Topic,
    average,
    count,
    day,
    distinct,
    maximum,
    total,
)

PIPELINE = Pipeline(
    derived={"created_day": "to_date(created_at)"},
    keep="status <> 'test'",
    alert="amount >= 10000",
    tables=(Table("orders.orders"), Table("orders.orders_by_status")),
    sql_tables=(SqlTable("orders"),),
    file_sets=(FileSet("orders", day="created_at"),),
    topics=(Topic("orders-large", outcome="alert"),),
    aggregates=(
        Aggregate(
            "orders_by_currency",
            by=(day("created_at"), "currency"),
            measures={
                "count": count(),
                "revenue": total("amount"),
                "largest": maximum("amount"),
                "average_amount": average("amount"),
            },
            where="status IN ('paid', 'shipped')",
        ),
        Aggregate(
            "orders_by_country",
            by=("country",),
            measures={
                "count": count(),
                "express": count("express"),
                "customers": distinct("customer_id"),
            },
        ),
    ),
)
