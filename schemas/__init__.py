"""The contracts of the topics: fields, limits and sensitivity, said once for both sides."""
