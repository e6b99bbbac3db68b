"""`millrace dead-letters`: list, show and redrive what was rejected.

`dead_letters` is the entry. Imports no other command.
"""
