"""What Spark and the clients in its JVM are configured with; nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from settings import Settings, load_settings
from spark_jobs.session.cassandra_conf import connector_conf
from spark_jobs.session.hadoop_conf import store_conf
from spark_jobs.sources.kafka import kafka_options
from spark_jobs.sources.topics import new_topic
from tests.support.authority import Authority


def secured(authority: Path) -> Settings:
    return load_settings(
        {
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_sasl_username": "me",
            "kafka_sasl_password": 'a"b\\c',
            "kafka_ssl_ca_location": authority,
            "cassandra_username": "me",
            "cassandra_password": "hush",
            "cassandra_ssl": True,
            "cassandra_ssl_ca_location": authority,
            "cassandra_consistency": "quorum",
        },
        Path("no.env"),
    )


def test_spark_is_given_the_certificates_themselves_and_a_quoted_login(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "Tests").certificate

    options = kafka_options(secured(authority))

    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert options["kafka.sasl.mechanism"] == "SCRAM-SHA-512"
    assert options["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
        ' username="me" password="a\\"b\\\\c";'
    )
    certificates = options["kafka.ssl.truststore.certificates"]
    assert certificates.startswith("-----BEGIN CERTIFICATE-----")
    assert f"# Tests\n{certificates}\n" == authority.read_text()
    assert "kafka.ssl.truststore.location" not in options


def test_connector_reads_and_writes_with_the_same_consistency_over_tls(tmp_path: Path) -> None:
    settings = secured(Authority(tmp_path, "Tests").certificate)

    conf = connector_conf(settings)

    assert conf["spark.cassandra.output.consistency.level"] == "QUORUM"
    assert conf["spark.cassandra.input.consistency.level"] == "QUORUM"
    assert conf["spark.cassandra.connection.ssl.enabled"] == "true"
    assert conf["spark.cassandra.connection.ssl.trustStore.path"] == str(
        settings.millrace_home / "tls" / "cassandra.jks"
    )
    assert "TLS_AES_256_GCM_SHA384" in conf["spark.cassandra.connection.ssl.enabledAlgorithms"]


@pytest.mark.parametrize(
    ("copies", "config"),
    [(1, {"a": "b"}), (3, {"min.insync.replicas": "2", "a": "b"})],
)
def test_two_of_several_copies_of_a_topic_must_confirm(copies: int, config: dict[str, str]) -> None:
    settings = Settings(topic_replication_factor=copies)

    topic = new_topic(settings, "t", {"a": "b"})

    assert (topic.replication_factor, topic.num_partitions) == (copies, 3)
    assert topic.config == config


@pytest.mark.parametrize(
    ("output", "checkpoints", "committer", "manager"),
    [
        ("./output", "checkpoints", False, None),
        ("s3a://bucket/out", "checkpoints", True, None),
        ("./output", "s3a://bucket/checkpoints", False, "AbortableStreamBased"),
        ("hdfs://node:8020/out", "hdfs://node:8020/checkpoints", False, "FileContextBased"),
    ],
    ids=["nothing on S3", "files on S3", "checkpoints on S3", "all on HDFS"],
)
def test_files_and_checkpoints_are_written_as_their_place_makes_it_safe(
    output: str, checkpoints: str, committer: bool, manager: str | None
) -> None:
    settings = Settings(
        output_path=output,
        checkpoint_path=checkpoints,
        aws_access_key_id="a-key",
        aws_secret_access_key=SecretStr("hush"),
    )

    conf = store_conf(settings)

    assert ("spark.sql.sources.commitProtocolClass" in conf) is committer
    chosen = conf.get("spark.sql.streaming.checkpointFileManagerClass", "").rpartition(".")[2]
    assert chosen == (f"{manager}CheckpointFileManager" if manager else "")
    on_s3 = output.startswith("s3a:") or checkpoints.startswith("s3a:")
    assert conf.get("spark.hadoop.fs.s3a.access.key") == ("a-key" if on_s3 else None)


def test_temporary_keys_come_with_their_token_and_without_keys_all_usual_places_count(
    tmp_path: Path,
) -> None:
    place = "spark.hadoop.fs.s3a"
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": SecretStr("hush")}
    temporary = Settings(output_path="s3a://b/x", aws_session_token=SecretStr("hush-2"), **keys)
    none = Settings(output_path="s3a://b/x", hadoop_conf_dir=tmp_path)

    conf = store_conf(temporary)
    assert (conf[f"{place}.secret.key"], conf[f"{place}.session.token"]) == ("hush", "hush-2")
    assert f"{place}.aws.credentials.provider" not in conf
    assert store_conf(none)[f"{place}.aws.credentials.provider"].endswith("ProviderChain")
    site = "<name>fs.s3a.aws.credentials.provider</name><value>own</value>"
    (tmp_path / "core-site.xml").write_text(
        f"<configuration><property>{site}</property></configuration>"
    )
    assert f"{place}.aws.credentials.provider" not in store_conf(none)
