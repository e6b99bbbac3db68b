"""Producers: generated tickets and randomuser.me profiles, on their way to Kafka."""
