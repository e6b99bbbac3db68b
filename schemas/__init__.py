"""The contracts of the topics: fields, limits and sensitivity, shared by producers and jobs."""
