"""docker/compose.yaml over months: restarts, volumes, the price of health checks, one build."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.secret_files import MOUNTED, let_containers_read
from settings import PROJECT_ROOT
from tests.support.container_settings import SERVICES
from tests.support.containers import COMPOSE_FILE, compose, own_services

WATCHED = {name: s["healthcheck"] for name, s in SERVICES.items() if "healthcheck" in s}
# Programs whose start costs a second of processor time.
INTERPRETERS = {"python", "python3", "node", "mongosh", "cqlsh", "nodetool", "java"}
# VOLUME of the images' own Dockerfiles.
DECLARED_VOLUMES = {
    "redpandadata/redpanda": ["/var/lib/redpanda/data"],
    "cassandra": ["/var/lib/cassandra"],
    "mongo": ["/data/db", "/data/configdb"],
    "postgres": ["/var/lib/postgresql"],
    "prom/prometheus": ["/prometheus"],
    "grafana/grafana": [],
    "redpandadata/console": [],
    "motoserver/moto": [],
    "millrace": [],
}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_leaves_a_volume_without_a_name_behind(name: str) -> None:
    image = SERVICES[name]["image"].rpartition(":")[0]
    mounted = {v.split(":")[1] for v in SERVICES[name].get("volumes", [])}

    assert set(DECLARED_VOLUMES[image]) <= mounted


@pytest.mark.parametrize("name", WATCHED)
def test_health_checks_start_no_interpreter(name: str) -> None:
    kind, *words = WATCHED[name]["test"]
    programs = {Path(word).name for part in words for word in part.split()}

    assert kind in {"CMD", "CMD-SHELL"}
    assert programs & INTERPRETERS == set()


def test_all_health_checks_together_run_less_than_once_a_second() -> None:
    seconds = {name: int(check["interval"].removesuffix("s")) for name, check in WATCHED.items()}
    waited_for = {
        other
        for service in SERVICES.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }

    assert {seconds[name] for name in waited_for} == {15}
    assert {seconds[name] for name in set(WATCHED) - waited_for} == {30}
    assert sum(1 / each for each in seconds.values()) < 1
    # Newer engines check every 5 seconds during this time; `start_interval` stops older ones.
    assert all("start_period" in c and "start_interval" not in c for c in WATCHED.values())


def test_one_service_builds_the_image_for_all() -> None:
    built = [name for name, service in SERVICES.items() if "build" in service]
    profiles = {p for service in own_services().values() for p in service["profiles"]}

    assert built == ["prepare"]
    # Whatever is started of ours brings the service that builds.
    assert set(SERVICES["prepare"]["profiles"]) == profiles
    for profile in profiles - {"prepare"}:
        together = [s for s in own_services().values() if profile in s["profiles"]]
        # `up --wait` takes a container that has ended for a failure unless another waits for it.
        assert any("prepare" in service.get("depends_on", {}) for service in together)
    # No service asks a registry for it.
    assert {service["pull_policy"] for service in own_services().values()} == {"never"}


def test_files_of_the_checkout_are_readable_in_containers_whatever_the_umask(
    tmp_path: Path,
) -> None:
    broker = SERVICES["kafka"]
    mounted = [v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])]
    files = [COMPOSE_FILE.parent / path for path in mounted if path.startswith(".")]

    # Content, not a file; Compose would make it unreadable for others without `mode`.
    assert broker["configs"] == [
        {"source": "redpanda", "target": "/etc/redpanda/.bootstrap.yaml", "mode": 0o444}
    ]
    assert {*compose()["configs"]["redpanda"]} == {"content"}
    # `make secrets`, which their password needs, lets containers read the others.
    assert files
    assert {file.parent.resolve() for file in files} == {MOUNTED} == {
        PROJECT_ROOT / "docker" / "monitoring"
    }  # fmt: skip
    private = tmp_path / "prometheus.yaml"
    private.touch(mode=0o600)
    let_containers_read(tmp_path)
    assert private.stat().st_mode & 0o777 == 0o644
