"""The cluster of the tests: it waits for a master that is not ready, and leaves nothing running."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support import spark_cluster
from tests.support.spark_cluster import SparkCluster


@contextmanager
def page_that_answers(status: int, body: bytes) -> Iterator[int]:
    """The port of a server that has one answer to everything."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "workers"),
    [(404, b"<h2>HTTP ERROR 404</h2>", 0), (200, b'{"aliveworkers" : 2}', 2)],
    ids=["before its pages are known", "ready"],
)
def test_master_has_the_workers_that_it_names_once_it_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int, body: bytes, workers: int
) -> None:
    monkeypatch.setattr(SparkCluster, "_start", lambda *arguments: None)
    cluster = SparkCluster(tmp_path, "700m")

    with page_that_answers(status, body) as cluster.page:
        assert cluster.alive_workers() == workers


def test_cluster_whose_workers_do_not_come_in_time_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spark_cluster, "START_SECONDS", 0)

    with (
        pytest.raises(AssertionError, match="no two workers within 0 s"),
        spark_cluster.spark_cluster(tmp_path, "700m"),
    ):
        pass

    running = psutil.process_iter(["cmdline"])
    assert [each.pid for each in running if str(tmp_path) in str(each.info["cmdline"])] == []
