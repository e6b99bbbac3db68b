"""`make doctor`: checks of machine, versions, services, places, topics and tables.

`doctor` is the entry and lists the checks. Imports no other command.
"""
