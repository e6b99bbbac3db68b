"""Builds the Spark session and what it needs: defaults, Hadoop, TLS, classes.

Imports `runtime` and settings; knows no pipeline and no sink.
"""
