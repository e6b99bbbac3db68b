"""What an operator runs around the pipelines: the `millrace` command and its parts."""

from local_stack.surroundings import drop_shadows

# Before anything that PYTHONPATH could hold another of.
drop_shadows()
