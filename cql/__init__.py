"""Cassandra's tables: numbered CQL files, and the client that applies and counts them."""
