"""THE BASELINE of `make bench`: tickets as the source systems process them. Not part of Millrace.

Connector defaults, one table, a lenient parser, aggregates that replace each other. No validation,
deduplication, dead letters or ledger: a crash loses or doubles records, and no one notices.
It runs in the same JVM as Millrace, in a session with Spark's own defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cassandra.cluster import Session
from pymongo import ReplaceOne
from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cql.statements import split_statements

KEYSPACE, TABLE = "baseline", "tickets"
SCHEMA = (
    "ticket_id string, client_id string, created_at string, request string, request_type string,"
    " priority string"
)
TEAMS = {
    "billing": "Billing",
    "technical": "Technical Support",
    "account": "Account Management",
    "general": "Customer Service",
}


def create_table(session: Session) -> None:
    """Make the baseline's table, empty."""
    for statement in split_statements(Path(__file__).with_suffix(".cql").read_text()):
        session.execute(statement, timeout=60)
    session.execute(f"TRUNCATE {KEYSPACE}.{TABLE}", timeout=60)


def run_baseline(
    spark: SparkSession,
    servers: str,
    topic: str,
    checkpoint: Path,
    database: Database[dict[str, Any]],
) -> None:
    """Process the topic from its beginning to its present end."""
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    ticket = F.from_json(F.col("value").cast("string"), SCHEMA)
    team = F.coalesce(*(F.when(F.col("request_type") == k, F.lit(v)) for k, v in TEAMS.items()))
    tickets = (
        messages.select(ticket.alias("ticket"))
        .select("ticket.*")
        .filter(F.col("ticket_id").isNotNull())
        .withColumn("created_at", F.to_timestamp("created_at"))
        .withColumn("assigned_team", team)
    )

    def write(batch: DataFrame, batch_id: int) -> None:
        batch.persist()
        batch.count()
        (
            batch.write.format("org.apache.spark.sql.cassandra")
            .mode("append")
            .options(keyspace=KEYSPACE, table=TABLE)
            .save()
        )
        for column in ("assigned_team", "request_type", "priority"):
            rows = batch.groupBy(column).count().collect()
            database[f"baseline_{column}"].bulk_write(
                [
                    ReplaceOne({"_id": row[column]}, {"count": row["count"]}, upsert=True)
                    for row in rows
                ]
            )
        batch.unpersist()

    query = (
        tickets.writeStream.option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .foreachBatch(write)
        .start()
    )
    query.awaitTermination()
