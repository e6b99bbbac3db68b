"""What is going on, as plain data: for the board, the dashboard, the report and `millrace trace`.

Read from the ledger, the broker and the stores; nothing here prints, and nothing is changed.
Imports what `operations` imports, and none of the programs that show it.
"""
