"""`millrace submit`: runs a pipeline's job on a Spark cluster.

`submit` is the entry. Imports no other command.
"""
