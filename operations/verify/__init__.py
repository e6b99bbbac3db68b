"""`make verify`: what was read, stored and counted, compared message by message.

`verify` is the entry; `accounts` says what is compared. Imports the modules of `operations` that
read topics and print tables, no other command.
"""
