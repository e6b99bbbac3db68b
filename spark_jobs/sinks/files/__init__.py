"""Parquet, JSON and CSV on disk, S3 and HDFS: writing, the manifest, reading, merging.

Imports what `spark_jobs.sinks` does.
"""
