"""Spark's configuration for S3 and HDFS, if `OUTPUT_PATH` or `CHECKPOINT_PATH` is there."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from errors import JobError
from runtime.s3_access import s3_access
from runtime.versions import pinned
from settings import Settings

UNUSED_PACKAGES: Final = pinned("unused", "s3")
# Tasks upload under their final names and the job completes the uploads: no renames, which are
# copies on S3, and readers see nothing of a task that died.
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

# By the scheme of CHECKPOINT_PATH; local files have theirs in spark-defaults.conf. On S3 a file
# appears complete when its upload ends: no rename, which is a copy that readers see grow. On HDFS
# it is Spark's usual manager, whose rename over an existing file is one step.
CHECKPOINT_MANAGERS: Final = {
    "s3a": "org.apache.spark.internal.io.cloud.AbortableStreamBasedCheckpointFileManager",
    "hdfs": "org.apache.spark.sql.execution.streaming.FileContextBasedCheckpointFileManager",
}
# Without keys: those of Hadoop's own configuration, then those places in which all clients of AWS
# look, of which Hadoop's own list lacks the user's own file and the role of a pod.
CREDENTIALS: Final = "fs.s3a.aws.credentials.provider"
USUAL_CREDENTIALS: Final = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider"
    ",org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
    ",com.amazonaws.auth.DefaultAWSCredentialsProviderChain"
)
# Hadoop gives files their permissions itself, whatever the process's umask.
PRIVATE_FILES: Final = {"spark.hadoop.fs.permissions.umask-mode": "077"}


def writes_to_s3(settings: Settings) -> bool:
    """Whether files or checkpoints go to S3."""
    return bool(places_on_s3(settings))


def places_on_s3(settings: Settings) -> list[str]:
    """The paths of files and checkpoints on S3: `s3a://bucket/…`."""
    checkpoints = [settings.checkpoints] if settings.checkpoints.startswith("s3a:") else []
    return [settings.output_path, *checkpoints] if _files_on_s3(settings) else checkpoints


def store_conf(settings: Settings) -> dict[str, str]:
    """Spark configuration for the places of files and checkpoints; may include a secret key."""
    conf = dict(MAGIC_COMMITTER) if _files_on_s3(settings) else {}
    if manager := CHECKPOINT_MANAGERS.get(settings.checkpoints.partition(":")[0]):
        conf["spark.sql.streaming.checkpointFileManagerClass"] = manager
    places = (settings.checkpoints, settings.files_at or "")
    if not any(place.startswith("hdfs:") for place in places):
        # On HDFS the cluster's own configuration decides who may read.
        conf |= PRIVATE_FILES
    return conf | (_access_to_s3(settings) if writes_to_s3(settings) else {})


def _files_on_s3(settings: Settings) -> bool:
    return (settings.files_at or "").startswith("s3a:")


def _access_to_s3(settings: Settings) -> dict[str, str]:
    names = ("access.key", "secret.key", "session.token", "endpoint.region")
    conf = s3_access(settings, *(f"spark.hadoop.fs.s3a.{name}" for name in names))
    if not settings.aws_access_key_id:
        site = site_options(settings.hadoop_conf_dir, "core-site.xml")
        if CREDENTIALS not in site:
            conf[f"spark.hadoop.{CREDENTIALS}"] = USUAL_CREDENTIALS
    if settings.s3_endpoint_url:
        conf["spark.hadoop.fs.s3a.endpoint"] = settings.s3_endpoint_url
        conf["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return conf


def hadoop_environment(settings: Settings) -> dict[str, str]:
    """Environment variables that give Hadoop its configuration and the user's name."""
    found = {}
    if settings.hadoop_conf_dir:
        found["HADOOP_CONF_DIR"] = str(settings.hadoop_conf_dir)
    if settings.hadoop_user_name:
        found["HADOOP_USER_NAME"] = settings.hadoop_user_name
    return found


def site_options(folder: Path | None, name: str) -> dict[str, str]:
    """Options of one of Hadoop's files, such as `hdfs-site.xml`; none where it is absent.

    Raises:
        JobError: the file cannot be read.
    """
    path = folder / name if folder else None
    if path is None or not path.is_file():
        return {}
    try:
        tree = ET.parse(path)  # noqa: S314 - the user's own file, no input from elsewhere
    except (ET.ParseError, OSError) as error:
        raise JobError(
            f"`{path}` cannot be read ({type(error).__name__}): correct it, or HADOOP_CONF_DIR."
        ) from error
    pairs = ((each.findtext("name"), each.findtext("value")) for each in tree.iter("property"))
    return {name.strip(): (value or "").strip() for name, value in pairs if name}
