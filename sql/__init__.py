"""PostgreSQL: the numbered files that create its tables, and the client that applies them."""
