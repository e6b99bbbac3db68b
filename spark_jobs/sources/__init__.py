"""Kafka's topics and Cassandra's tables as DataFrames.

Imports settings and the session's TLS and classes; knows no pipeline.
"""
