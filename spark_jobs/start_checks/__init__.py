"""Checks before a job starts: topic, code, clock, stores, and which job feeds a sink.

Imports state, sinks and pipelines; `spark_jobs.run` imports it.
"""
