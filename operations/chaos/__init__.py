"""`make chaos`: crash tests under load on a stack of their own.

`chaos` is the entry. Imports `operations.verify`.
"""
