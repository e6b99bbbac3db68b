"""The embedded stack: Kafka, Cassandra and MongoDB as processes of this checkout."""

from runtime.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()
