"""What jobs and services share of the machine: Java, jars, versions, whole files, locks.

Imports settings and errors only; `spark_jobs`, `local_stack` and `operations` import it.
"""
