"""What a job remembers between batches: checkpoint, ledger, clock, offset ranges.

Imports transforms and sources; knows no pipeline and no sink.
"""
