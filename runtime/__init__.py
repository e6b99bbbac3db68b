"""What jobs and services share of the machine: Java, jars, versions, whole files, locks.

Imports errors and settings only; `spark_jobs`, `local_stack` and `operations` import it.
`runtime.config` stands below `settings`: it is what they are made of.
"""
