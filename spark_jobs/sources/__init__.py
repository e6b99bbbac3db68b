"""Kafka's topics and Cassandra's tables as DataFrames.

Imports settings and the session's TLS; knows no pipeline.
"""
