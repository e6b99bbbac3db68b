"""What Spark must know of S3 and HDFS, where `OUTPUT_PATH` or `CHECKPOINT_PATH` is there."""

from __future__ import annotations

from typing import Final

from runtime.versions import pinned
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

# By the scheme of CHECKPOINT_PATH; local files have theirs in spark-defaults.conf. On S3 a file is
# there whole when its upload completes: no rename, which is a copy that readers see grow. On HDFS
# Spark's usual one, whose rename over a former file is one step.
CHECKPOINT_MANAGERS: Final = {
    "s3a": "org.apache.spark.internal.io.cloud.AbortableStreamBasedCheckpointFileManager",
    "hdfs": "org.apache.spark.sql.execution.streaming.FileContextBasedCheckpointFileManager",
}


def writes_to_s3(settings: Settings) -> bool:
    """Whether files or checkpoints go to S3."""
    return bool(places_on_s3(settings))


def places_on_s3(settings: Settings) -> list[str]:
    """Where on S3 files and checkpoints are: `s3a://bucket/…`."""
    checkpoints = [settings.checkpoints] if settings.checkpoints.startswith("s3a:") else []
    return [settings.output_path, *checkpoints] if _files_on_s3(settings) else checkpoints


def store_conf(settings: Settings) -> dict[str, str]:
    """Spark configuration for the places of files and checkpoints; may hold a secret key."""
    conf = dict(MAGIC_COMMITTER) if _files_on_s3(settings) else {}
    if manager := CHECKPOINT_MANAGERS.get(settings.checkpoints.partition(":")[0]):
        conf["spark.sql.streaming.checkpointFileManagerClass"] = manager
    return conf | (_access_to_s3(settings) if writes_to_s3(settings) else {})


def _files_on_s3(settings: Settings) -> bool:
    return (settings.files_at or "").startswith("s3a:")


def _access_to_s3(settings: Settings) -> dict[str, str]:
    conf = {}
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
