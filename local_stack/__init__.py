"""The embedded stack: Kafka, Cassandra and MongoDB as processes of this checkout."""

from local_stack.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()
