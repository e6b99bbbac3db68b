"""The embedded stack: Kafka, Cassandra and MongoDB as processes of this checkout."""

from runtime.surroundings import drop_shadows

# Before any import that a module on PYTHONPATH could shadow.
drop_shadows()
