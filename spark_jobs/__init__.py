"""Spark Structured Streaming jobs: sources -> transforms -> sinks."""
