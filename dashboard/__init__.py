"""The web page that shows a platform: `millrace dashboard`.

Pages and `/api` are drawn from a `Source` (dashboard/source.py), so tests draw them from hand-made
data. Nothing here writes to a store, and no page asks another host for anything.
"""
