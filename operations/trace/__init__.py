"""`millrace trace`: one record's way, from its message to every store that holds it.

`trace` is the entry; the dashboard calls `find`. Imported by no command that writes.
"""
