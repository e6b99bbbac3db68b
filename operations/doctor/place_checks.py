"""Checks of where files and jobs go: local folders, S3, HDFS, the Spark master."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from errors import JobError
from operations.doctor.check import Fault, Line, line_of
from operations.doctor.endpoints import CONNECT_SECONDS, Endpoint, absence, split_address
from operations.doctor.machine_checks import folder_faults
from producers.s3 import s3_client
from runtime.reachable import Address, unreached
from settings import Settings
from spark_jobs.registry import pipelines_of
from spark_jobs.session.hadoop_conf import site_options
from spark_jobs.session.masters import unreachable
from spark_jobs.sinks.files.rows import as_written, other_formats

S3_SECONDS: Final = 3
HDFS_PORT: Final = 8020
HDFS_SETTING: Final = "OUTPUT_PATH or HADOOP_CONF_DIR"
S3_REMEDIES: Final = {
    "403": "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or what they may do there",
    "404": "create it, or correct the name",
    "301": "it is in another region: correct AWS_REGION",
}


def look_at_output(settings: Settings) -> list[Line]:
    """Whether OUTPUT_PATH looks writable; nothing is written."""
    place = settings.output_path
    is_local = "://" not in place
    of_place = folder_faults(Path(place), "OUTPUT_PATH") if is_local else place_faults(settings)
    # Only files that can be reached can be looked at.
    return [line_of("output", list(of_place) or list(format_faults(settings)), place)]


def place_faults(settings: Settings) -> Iterator[Fault]:
    """Why S3 or HDFS would refuse OUTPUT_PATH, within seconds; nothing for a local folder."""
    if settings.output_path.startswith("s3a:"):
        yield from s3_faults(settings, settings.output_path)
    elif "://" in settings.output_path:
        yield from hdfs_faults(settings)


def format_faults(settings: Settings) -> Iterator[Fault]:
    """Pipelines whose stored files have a format other than OUTPUT_FORMAT.

    Raises:
        SinkRejected: a manifest was changed from outside.
    """
    for pipeline in pipelines_of(settings):
        if difference := other_formats(settings, pipeline):
            formats = ",".join(as_written(settings, pipeline).output_format)
            yield Fault(f"{difference}: set it to {formats}, or set another OUTPUT_PATH")


def look_at_source(settings: Settings) -> list[Line]:
    """Whether the files from which producers read can be read."""
    places = source_files(settings).items()
    return [line for name, place in places for line in _look_at_file(settings, name, place)]


def source_files(settings: Settings) -> dict[str, str]:
    """Setting -> the file that it names, from which a producer reads."""
    names = (pipeline.input.file_setting for pipeline in pipelines_of(settings))
    return {n.upper(): place for n in names if n and (place := getattr(settings, n))}


def _look_at_file(settings: Settings, name: str, place: str) -> list[Line]:
    if place.startswith("s3:"):
        return [line_of("source", list(s3_faults(settings, place)), place)]
    path = Path(place)
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fault = Fault(f"cannot read `{path}` ({reason}): correct {name}")
        return [line_of("source", [fault], "")]
    return [line_of("source", [], str(path))]


def s3_faults(settings: Settings, place: str) -> Iterator[Fault]:
    """Why S3 refuses a bucket (`s3a://bucket/…`) or an object (`s3://bucket/key`)."""
    # These take a moment to load, and few users need them.
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    parts = urlsplit(place)
    try:
        client = s3_client(
            settings,
            connect_timeout=S3_SECONDS,
            read_timeout=S3_SECONDS,
            retries={"total_max_attempts": 1},
        )
        if parts.scheme == "s3":
            client.head_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
        else:
            client.list_objects_v2(Bucket=parts.netloc, MaxKeys=1)
    except ClientError as error:
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        remedy = S3_REMEDIES.get(status, "correct AWS_REGION, S3_ENDPOINT_URL or the credentials")
        # On AWS users create their buckets themselves.
        is_made = (
            code == "NoSuchBucket" and parts.scheme == "s3a" and bool(settings.s3_endpoint_url)
        )
        made = "`make up` creates it, or correct the name"
        yield Fault(f"S3 refuses `{place}` ({code}): {made if is_made else remedy}", is_made)
    except NoCredentialsError:
        yield Fault("no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    except (BotoCoreError, OSError) as error:
        where = settings.s3_endpoint_url or "AWS"
        yield Fault(
            f"S3 at {where} does not answer ({type(error).__name__}): start it, or correct"
            " S3_ENDPOINT_URL and AWS_REGION"
        )


def hdfs_faults(settings: Settings) -> Iterator[Fault]:
    """Faults of `hdfs://`: no configuration, or no NameNode at its address."""
    folder = settings.hadoop_conf_dir
    if folder is not None and not folder.is_dir():
        yield Fault(f"HADOOP_CONF_DIR: there is no folder `{folder}`: correct it")
        return
    try:
        options = site_options(folder, "hdfs-site.xml")
    except JobError as error:
        yield Fault(str(error))
        return
    addresses = name_nodes(urlsplit(settings.output_path).netloc, options)
    here = {("127.0.0.1", settings.hdfs_port), ("localhost", settings.hdfs_port)}
    if settings.stack == "embedded" and settings.starts("hdfs") and set(addresses) & here:
        away = absence(Endpoint("hdfs", "HDFS_PORT", addresses), settings)
        if away:
            yield away
        return
    reasons = unreached(addresses, CONNECT_SECONDS)
    if len(reasons) == len(addresses):
        yield Fault(f"{'; '.join(reasons)}: start HDFS, or correct {HDFS_SETTING}")


def name_nodes(authority: str, options: Mapping[str, str]) -> tuple[Address, ...]:
    """Addresses of a NameNode, or of all nodes behind a high-availability name."""
    if nodes := options.get(f"dfs.ha.namenodes.{authority}"):
        keys = [f"dfs.namenode.rpc-address.{authority}.{node.strip()}" for node in nodes.split(",")]
        return tuple(split_address(options[key], HDFS_PORT) for key in keys if key in options)
    return (split_address(authority, HDFS_PORT),)


def look_at_master(settings: Settings) -> list[Line]:
    """Whether the Spark master answers, or YARN's configuration is there."""
    master = settings.spark_master
    if master == "yarn":
        fault = Fault("SPARK_MASTER=yarn needs HADOOP_CONF_DIR: set it to YARN's configuration")
        if settings.hadoop_conf_dir is None or not settings.hadoop_conf_dir.is_dir():
            return [line_of("spark", [fault], "")]
        master = f"yarn, {settings.hadoop_conf_dir}"
    try:
        reasons = unreachable(settings)
    except JobError as error:
        return [line_of("spark", [Fault(f"{error} Correct SPARK_MASTER.")], master)]
    fault = Fault(f"{'; '.join(reasons)}: start it, or correct SPARK_MASTER")
    return [line_of("spark", [fault] if reasons else [], master)]
