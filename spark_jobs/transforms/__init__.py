"""Pure `DataFrame -> DataFrame` functions; no session, settings, clock or I/O in here."""
