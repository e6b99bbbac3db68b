"""What jobs and services share of the machine: Java, jars, versions, whole files, locks.

Imports errors and settings only, which take their types and rules from here; `spark_jobs`,
`local_stack` and `operations` import it.
"""
