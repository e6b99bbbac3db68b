"""`millrace dead-letters`: lists, shows and redrives rejected messages.

`dead_letters` is the entry. Imports no other command.
"""
