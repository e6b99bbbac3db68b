"""Pure functions from DataFrame to DataFrame: parse, validate, classify, summarise.

Imports `schemas` and `spark_jobs.aggregates` only.
"""
