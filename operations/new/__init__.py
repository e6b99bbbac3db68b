"""`millrace new`: a pipeline's folder from a sample of its records."""
