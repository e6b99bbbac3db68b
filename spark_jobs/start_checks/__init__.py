"""What is compared before a job starts: topic, code, clock, stores, who feeds a sink.

Imports state, sinks and pipelines; `spark_jobs.run` imports it.
"""
