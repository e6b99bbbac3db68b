"""PostgreSQL: the numbered files that make its tables, and the client that applies them."""
