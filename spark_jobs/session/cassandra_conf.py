"""Configuration of Spark's Cassandra connector."""

from __future__ import annotations

from settings import Settings
from spark_jobs.session.tls import tls_conf


def connector_conf(settings: Settings) -> dict[str, str]:
    """Spark configuration with which the connector finds the store; may include a password."""
    conf = {
        "spark.cassandra.connection.host": settings.cassandra_contact_points,
        "spark.cassandra.connection.port": str(settings.cassandra_port),
        "spark.cassandra.connection.localDC": settings.cassandra_local_datacenter,
        "spark.cassandra.connection.keepAliveMS": "60000",
        # The same for both, so that reads see what was written.
        "spark.cassandra.output.consistency.level": settings.cassandra_consistency,
        "spark.cassandra.input.consistency.level": settings.cassandra_consistency,
        **tls_conf(settings),
    }
    if settings.cassandra_username and settings.cassandra_password:
        conf["spark.cassandra.auth.username"] = settings.cassandra_username
        conf["spark.cassandra.auth.password"] = settings.cassandra_password.get_secret_value()
    return conf
