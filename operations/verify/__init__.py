"""`make verify`: proves that what was read, stored and counted agrees.

`verify` is the entry; `accounts` says what is compared. Imports the modules of `operations` that
read topics and print tables, no other command.
"""
