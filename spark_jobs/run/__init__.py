"""A job from its command line to its last batch: queries, writing of batches, locks.

Imports everything of `spark_jobs` but the declarations, which import it.
"""
