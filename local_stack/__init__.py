"""The embedded stack: Kafka, Cassandra and MongoDB as processes of this checkout."""
