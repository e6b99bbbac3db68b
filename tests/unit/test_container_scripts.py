"""Scripts of the image: health checks, executors on Kubernetes, the smaller library of AWS."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pyspark
import pytest

from settings import PROJECT_ROOT
from tests.conftest import free_ports

SCRIPTS = PROJECT_ROOT / "runtime" / "container"


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/ok": 200, "/down": 503}.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def answers(*words: str) -> bool:
    command = [str(SCRIPTS / "answers"), *words]
    return not subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def test_health_check_asks_for_a_listener_or_for_status_200(server: str) -> None:
    (unused,) = free_ports(1)

    assert answers(server)
    assert answers(server, "/ok")
    assert not answers(server, "/down")
    assert not answers(server, "/elsewhere")
    assert not answers(f"127.0.0.1:{unused}")


def test_millrace_command_of_the_image_runs_the_one_of_the_checkout() -> None:
    said = subprocess.run(
        [str(SCRIPTS / "millrace"), "--help"],
        cwd=PROJECT_ROOT,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert said.startswith("usage: millrace ")


POD = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.1.2.3:7078",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "1024m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    "SPARK_EXECUTOR_ID": "7",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_IP": "10.1.2.4",
    "SPARK_EXECUTOR_POD_NAME": "tickets-exec-7",
}


def test_executor_starts_as_its_driver_describes_it(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    # Options by number, not by name: the last of repeated ones counts.
    options = {f"SPARK_JAVA_OPT_{n}": f"-Dn={n} and more" for n in (10, 9, 0)}
    environment = POD | options | {"JAVA_HOME": str(tmp_path), "SPARK_HOME": "/opt/spark"}

    said = subprocess.run(
        [str(SCRIPTS / "executor"), "executor"],
        env=environment | {"PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout.splitlines()  # fmt: skip

    assert said == [
        "-Dn=0 and more", "-Dn=9 and more", "-Dn=10 and more", "-Xms1024m", "-Xmx1024m",
        "-cp", "/opt/spark/conf::/opt/spark/jars/*",
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        "--driver-url", "spark://CoarseGrainedScheduler@10.1.2.3:7078", "--executor-id", "7",
        "--cores", "2", "--app-id", "spark-1", "--hostname", "10.1.2.4",
        "--resourceProfileId", "0", "--podName", "tickets-exec-7",
    ]  # fmt: skip


def test_driver_of_cluster_mode_runs_what_spark_asks_for_in_its_own_pod(tmp_path: Path) -> None:
    submit = tmp_path / "spark-submit"
    submit.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    submit.chmod(0o755)
    asked = ["--properties-file", "/opt/spark/conf/spark.properties", "local:///a/job.py", "a b"]

    said = subprocess.run(
        [str(SCRIPTS / "driver"), *asked],
        env={"SPARK_DRIVER_BIND_ADDRESS": "10.1.2.3", "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout.splitlines()  # fmt: skip

    own = ["--deploy-mode", "client", "--conf", "spark.driver.bindAddress=10.1.2.3"]
    assert said == [*own, *asked]


def test_programs_of_the_image_have_the_names_that_spark_starts_pods_with() -> None:
    # A text in a class file: its tag, its length in two bytes, its bytes.
    for name, step in (("driver", "DriverCommand"), ("executor", "BasicExecutor")):
        assert b"\1\0" + bytes([len(name)]) + name.encode() in _words_of_spark(f"{step}FeatureStep")
        assert os.access(SCRIPTS / name, os.X_OK)


def test_executor_is_described_in_words_of_the_spark_that_is_installed() -> None:
    known = _words_of_spark()
    script = (SCRIPTS / "executor").read_text()

    words = [*POD, "SPARK_JAVA_OPT_", "SPARK_CLASSPATH"]
    words += ["--driver-url", "--executor-id", "--cores", "--app-id", "--hostname"]
    words += ["--resourceProfileId", "--podName"]
    assert [word for word in words if word not in script or word.encode() not in known] == []


def _words_of_spark(part: str = "") -> bytes:
    """All that the classes of Spark's part for Kubernetes say, or those with `part` in the name."""
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("spark-kubernetes_*.jar")
    with zipfile.ZipFile(jar) as classes:
        return b"".join(classes.read(name) for name in classes.namelist() if part in name)


def test_library_of_aws_keeps_the_services_that_files_on_s3_need(tmp_path: Path) -> None:
    jar = tmp_path / "aws-java-sdk-bundle-1.jar"
    kept = [
        "META-INF/MANIFEST.MF",
        "com/amazonaws/AmazonClientException.class",
        "com/amazonaws/services/s3/AmazonS3.class",
        "com/amazonaws/services/kms/AWSKMS.class",
        "com/amazonaws/services/securitytoken/AWSSecurityTokenService.class",
        "com/amazonaws/services/dynamodbv2/model/AttributeValue.class",
    ]
    gone = [
        "com/amazonaws/services/ec2/AmazonEC2.class",
        "com/amazonaws/services/s3control/AWSS3Control.class",
        "models/ec2-2016-11-15-model.json",
    ]
    with zipfile.ZipFile(jar, "w") as file:
        for name in (*kept, *gone):
            file.writestr(zipfile.ZipInfo(name, (2022, 7, 1, 0, 0, 0)), name)

    program = str(SCRIPTS / "trim_aws.py")
    subprocess.run([sys.executable, program, str(jar)], check=True, timeout=60)

    with zipfile.ZipFile(jar) as file:
        assert file.namelist() == kept
        assert [file.read(name).decode() for name in kept] == kept
        assert {entry.date_time for entry in file.infolist()} == {(2022, 7, 1, 0, 0, 0)}
    assert [path.name for path in tmp_path.iterdir()] == [jar.name]
