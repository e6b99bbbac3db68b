"""What an operator runs around the pipelines: the `millrace` command and its parts."""
