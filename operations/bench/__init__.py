"""`make bench`: measures pipelines and their parts on a stack of its own.

`bench` is the entry. May import every other command.
"""
