"""Topics as DataFrames of messages."""
