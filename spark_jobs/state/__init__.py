"""What a job remembers between batches: checkpoint, ledger, clock, and offsets in words.

Imports transforms and sources; knows no pipeline and no sink.
"""
