"""A job from its command line to its last batch: queries, writing batches, locks.

Imports everything in `spark_jobs` except the declarations, which import it.
"""
