"""`millrace check`: what is wrong with a user's pipeline, all at once and without a service.

`check` is its entry.
"""
