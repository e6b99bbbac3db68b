"""Stores that receive micro-batches: `check()` and `write_batch(batch, batch_id)`."""
