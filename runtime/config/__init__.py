"""What settings are made of: types of values, addresses, names of topics and sinks, reading.

Imports errors only; `settings` imports it, and with it everything else.
"""
