"""The stores that receive records and aggregates; `base` says what a sink is.

Imports state, session and what a pipeline declares; checks and jobs import it.
"""
