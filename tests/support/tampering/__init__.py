"""Changes of stored data behind the platform's back, generated from a pipeline's declaration."""
