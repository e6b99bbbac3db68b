"""`millrace submit`: runs a pipeline's job on a Spark cluster.

`submit` is the entry. Imports `operations.chaos` for nothing but supervision.
"""
