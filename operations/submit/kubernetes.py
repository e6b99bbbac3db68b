"""The spark-submit command for Kubernetes, for users to adapt: Millrace does not run it.

The driver is a pod whose image holds the code. Settings are the pod's variables, secrets come from
one Kubernetes secret, and state is on a volume that driver and executors share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import SecretStr

from operations.submit.submission import Submission, packages, resources, shown_settings
from settings import Settings
from spark_jobs.pipeline import Pipeline
from spark_jobs.session.defaults import DEFAULTS_FILE
from spark_jobs.session.spark_home import spark_home

SECRETS: Final = "millrace"
IMAGE: Final = "spark.kubernetes.container.image"
CODE: Final = "/opt/millrace"
STATE: Final = "/var/lib/millrace"
CLAIM: Final = "millrace"
# Where an image with own pipelines has them (docs/kubernetes.md).
PIPELINES: Final = "/opt/pipelines"
# They concern the submitting machine, or are given as options.
NOT_FOR_PODS: Final = (
    "MILLRACE_HOME OUTPUT_PATH PIPELINES_PATH JARS_PATH STACK"
    " SPARK_DRIVER_MEMORY SPARK_EXECUTOR_MEMORY SPARK_EXECUTOR_CORES"
).split()


def kubernetes_submission(
    settings: Settings, pipeline: Pipeline, words: Sequence[str], conf: Sequence[str]
) -> Submission:
    """How a pipeline's job would be submitted to Kubernetes."""
    given = {pair.partition("=")[0] for pair in conf}
    own = [pair for pair in _conf(settings, pipeline) if pair.partition("=")[0] not in given]
    command = [
        str(spark_home() / "bin" / "spark-submit"),
        *("--master", settings.spark_master),
        *("--deploy-mode", "cluster"),
        *("--name", f"millrace-{pipeline.name}"),
        *("--properties-file", str(DEFAULTS_FILE)),
        *resources(settings),
        *packages(settings),
        *(word for pair in (*own, *conf) for word in ("--conf", pair)),
        f"local://{CODE}/{pipeline.job_module[0].replace('.', '/')}.py",
        *pipeline.job_module[1:],
        *words,
    ]
    return Submission(command, {})


def _conf(settings: Settings, pipeline: Pipeline) -> Iterator[str]:
    yield f"{IMAGE}=YOUR_IMAGE"
    # The image's own folder may be read-only.
    yield "spark.jars.ivy=/tmp/ivy"
    secret = _secrets(settings)
    pod = {"STACK": "external", "MILLRACE_HOME": STATE, "OUTPUT_PATH": f"{STATE}/output"}
    if "://" in settings.output_path:
        pod["OUTPUT_PATH"] = settings.output_path
    if pipeline.folder is not None:
        pod["PIPELINES_PATH"] = PIPELINES
    for name, value in shown_settings(settings):
        if name not in (*secret, *NOT_FOR_PODS):
            pod[name] = value
    for name, value in pod.items():
        yield f"spark.kubernetes.driverEnv.{name}={value}"
    for name in secret:
        yield f"spark.kubernetes.driver.secretKeyRef.{name}={SECRETS}:{name}"
    for who in ("driver", "executor"):
        volume = f"spark.kubernetes.{who}.volumes.persistentVolumeClaim.state"
        yield f"{volume}.mount.path={STATE}"
        yield f"{volume}.options.claimName={CLAIM}"


def _secrets(settings: Settings) -> list[str]:
    """Names of the secrets that the driver needs."""
    found = {
        name
        for name, field in Settings.model_fields.items()
        if isinstance(value := getattr(settings, name), SecretStr) and value != field.default
    } | {"mongo_uri"}
    found |= {"postgres_dsn"} if settings.starts("postgres") else set()
    found |= {"pii_hash_key"} if settings.pii_hash_mode == "hmac-sha256" else set()
    return sorted(name.upper() for name in found)
