"""Tables of Cassandra: numbered CQL files and the one client that applies and counts them."""
