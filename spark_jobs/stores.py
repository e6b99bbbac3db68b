"""What Spark must know of S3 and HDFS, where `OUTPUT_PATH` is there."""

from __future__ import annotations

from typing import Final

from local_stack.versions import pinned
from settings import Settings

UNUSED_PACKAGES: Final = pinned("unused", "s3")
# Tasks upload under their final names and a job completes the uploads: no renames, which are
# copies there, and nothing to be seen of a task that died.
MAGIC_COMMITTER: Final = {
    "spark.hadoop.fs.s3a.committer.name": "magic",
    "spark.hadoop.fs.s3a.committer.magic.enabled": "true",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": (
        "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"
    ),
    "spark.sql.sources.commitProtocolClass": (
        "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol"
    ),
    "spark.sql.parquet.output.committer.class": (
        "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter"
    ),
}


def writes_to_s3(settings: Settings) -> bool:
    """Whether files go to S3."""
    return "files" in settings.sinks and settings.output_path.startswith("s3a:")


def store_conf(settings: Settings) -> dict[str, str]:
    """Spark configuration for the place of the files; may hold a secret key."""
    if not writes_to_s3(settings):
        return {}
    conf = dict(MAGIC_COMMITTER)
    if settings.aws_access_key_id and settings.aws_secret_access_key:
        conf["spark.hadoop.fs.s3a.access.key"] = settings.aws_access_key_id
        conf["spark.hadoop.fs.s3a.secret.key"] = settings.aws_secret_access_key.get_secret_value()
    if settings.aws_region:
        conf["spark.hadoop.fs.s3a.endpoint.region"] = settings.aws_region
    if settings.s3_endpoint_url:
        conf["spark.hadoop.fs.s3a.endpoint"] = settings.s3_endpoint_url
        conf["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return conf


def hadoop_environment(settings: Settings) -> dict[str, str]:
    """Variables by which Hadoop finds its configuration and the user's name."""
    found = {}
    if settings.hadoop_conf_dir:
        found["HADOOP_CONF_DIR"] = str(settings.hadoop_conf_dir)
    if settings.hadoop_user_name:
        found["HADOOP_USER_NAME"] = settings.hadoop_user_name
    return found
