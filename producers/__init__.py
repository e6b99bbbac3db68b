"""Producers: generated tickets and randomuser.me profiles, on their way to Kafka."""

from local_stack.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()
