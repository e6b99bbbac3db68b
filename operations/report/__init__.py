"""`millrace report`: one self-contained HTML page and the same as JSON.

`report` is the entry. Takes its styles and pictures from the dashboard.
"""
