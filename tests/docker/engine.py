"""A Docker engine: the one that answers, else one of Debian's packages with a folder of its own.

The second kind needs root and Debian's and Go's registries. It takes about four minutes the first
time and seconds afterwards; it ends with the tests, and the network is then as it was.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from local_stack.compose import what_is_missing
from tests.conftest import TESTS_HOME
from tests.support.processes import wait_for

HOME = TESTS_HOME / "docker-engine"
DOCKERD = Path("/usr/sbin/dockerd")
PACKAGES = ("docker.io", "iptables", "debootstrap")
# The first whose `go.mod` asks for no newer Go than that which Debian or a user has by now.
COMPOSE_VERSION = "v2.40.3"
BASE_IMAGE = "debian:bookworm-slim"
# The path of a Unix socket has at most 107 characters; containerd adds its own below the folder.
LONGEST_HOME = 75
START_SECONDS, END_SECONDS = 60, 180
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
TABLES = {
    "filter": "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n",
    "nat": "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n",
}
# What Debian's own slim image lacks too.
NOT_IN_SLIM = ("var/cache/apt/*", "var/lib/apt/lists/*", "usr/share/doc/*", "usr/share/man/*",
               "usr/share/locale/*", "usr/share/info/*", "var/log/*")  # fmt: skip

Report = Callable[[str], object]


class NoEngine(Exception):
    """No engine answers and none can be started; says why and what to do."""


class Engine:
    """An engine that answers, and how commands reach it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)

    def run(self, *command: str, seconds: float = 600, **variables: str) -> str:
        """Run a command on this engine to its good end; gives its standard output."""
        done = subprocess.run(
            command,
            env=self.variables | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        said = f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
        assert done.returncode == 0, f"`{' '.join(command)}` ended with {done.returncode}:\n{said}"
        return done.stdout

    def docker(self, *words: str, seconds: float = 600) -> str:
        return self.run("docker", *words, seconds=seconds).strip()

    def versions(self) -> str:
        server = self.docker("version", "--format", "{{.Server.Version}}")
        plugin = self.docker("compose", "version", "--short")
        return f"Docker engine {server}, Compose {plugin}"

    def stop(self) -> None:
        """Someone else's engine stays up."""


class OwnEngine(Engine):
    """An engine of these tests: nothing of it is shared with another one."""

    def __init__(self, report: Report) -> None:
        # Debian's client builds with BuildKit without the buildx plug-in, newer ones do not.
        path = f"/usr/bin:/usr/sbin:{os.environ['PATH']}"
        super().__init__(
            {
                "PATH": path,
                "HOME": str(HOME),
                "DOCKER_HOST": f"unix://{HOME}/docker.sock",
                "DOCKER_CONFIG": str(HOME / "config"),
                "DOCKER_BUILDKIT": "1",
            }
        )
        self._report = report
        self._network = HOME / "network.json"
        if not self._end_one_left_over():
            before = {name: _table(name) for name in TABLES} | {"forward": FORWARD.read_text()}
            self._network.write_text(json.dumps(before))

    def _end_one_left_over(self) -> bool:
        """End the engine of tests that were killed; it has changed the network already."""
        try:
            left = psutil.Process(int((HOME / "pid").read_text()))
            if left.name() != DOCKERD.name:
                return False
        except (OSError, ValueError, psutil.NoSuchProcess):
            return False
        self._report("docker: ending an engine that tests have left over")
        left.terminate()
        left.wait(END_SECONDS)
        return self._network.exists()

    def start(self) -> None:
        command = [str(DOCKERD), "--host", self.variables["DOCKER_HOST"]]
        for option, name in (("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid")):
            command += [f"--{option}", str(HOME / name)]
        with (HOME / "dockerd.log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the tests, which then end it.
                start_new_session=True,
            )
        wait_for(self._answers, START_SECONDS, f"answer of dockerd; see {HOME}/dockerd.log")

    def _answers(self) -> bool:
        return not subprocess.run(
            ["docker", "info"], env=self.variables, capture_output=True, check=False
        ).returncode

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(END_SECONDS)

    def stop(self) -> None:
        """End it, with its bridge, its rules and the forwarding of packets."""
        self.end()
        before = json.loads(self._network.read_text())
        FORWARD.write_text(before.pop("forward"))
        for name, rules in before.items():
            subprocess.run(["iptables-restore", "-T", name], input=rules, text=True, check=True)
        subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
        self._network.unlink()

    def add_compose(self) -> None:
        """Build the Compose plug-in from Go's modules, once."""
        plugin = HOME / "config" / "cli-plugins" / "docker-compose"
        if plugin.exists():
            return
        self._report(f"docker: building Compose {COMPOSE_VERSION} from Go's modules")
        folder = HOME / "compose"
        folder.mkdir(parents=True, exist_ok=True)
        module = "github.com/docker/compose/v2"
        own = folder / "go.mod"
        own.write_text(f"module compose\ngo 1.24.9\nrequire {module} {COMPOSE_VERSION}\n")

        def go(*words: str) -> str:
            return subprocess.run(
                ["go", *words], cwd=folder, env=os.environ | {"GOFLAGS": "-mod=mod"},
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip

        go("mod", "download", f"{module}@{COMPOSE_VERSION}")
        # `go install` refuses a module with an `exclude` block: ours has the same one.
        theirs = Path(go("list", "-m", "-f", "{{.Dir}}", module).strip(), "go.mod").read_text()
        excluded = re.findall(r"^exclude \(.*?^\)", theirs, re.MULTILINE | re.DOTALL)
        own.write_text("\n".join([own.read_text(), *excluded]))
        flags = f"-s -w -X {module}/internal.Version={COMPOSE_VERSION}"
        go("build", "-ldflags", flags, "-o", str(plugin), f"{module}/cmd")

    def add_base_image(self) -> None:
        """Make Debian's slim image with debootstrap, once."""
        if self.docker("image", "ls", "--quiet", BASE_IMAGE):
            return
        self._report(f"docker: making {BASE_IMAGE} with debootstrap")
        root = HOME / "rootfs"
        self.run("debootstrap", "--variant=minbase", "bookworm", str(root))
        left_out = " ".join(f"--exclude='./{each}'" for each in NOT_IN_SLIM)
        self.run("sh", "-c", f"tar -C {root} {left_out} -c . | docker import - {BASE_IMAGE}")
        shutil.rmtree(root)


def find_engine(report: Report) -> Engine:
    """The engine that answers, else one of our own.

    Raises:
        NoEngine: neither is possible here.
    """
    missing = what_is_missing()
    if missing is None:
        return Engine(os.environ)
    if unable := _why_none_can_be_started():
        raise NoEngine(
            f"{missing}, and none can be started here: {unable}. Start Docker with its Compose"
            " plug-in (https://docs.docker.com/engine), then run `make test-docker` again."
        )
    HOME.mkdir(parents=True, exist_ok=True)
    if not DOCKERD.exists():
        report(f"docker: installing {', '.join(PACKAGES)} from Debian")
        install = "apt-get update -qq && apt-get install -qq --no-install-recommends"
        subprocess.run(["sh", "-c", f"{install} {' '.join(PACKAGES)} >&2"], check=True)
    engine = OwnEngine(report)
    engine.add_compose()
    engine.start()
    try:
        engine.add_base_image()
    except BaseException:
        engine.stop()
        raise
    return engine


def _why_none_can_be_started() -> str | None:
    if os.geteuid():
        return "that needs root"
    if not shutil.which("apt-get"):
        return "that needs Debian's packages, and there is no `apt-get`"
    if not shutil.which("go"):
        return "Compose is built from Go's modules, and there is no `go` (1.24 or later)"
    if len(str(HOME)) > LONGEST_HOME:
        return f"the path {HOME} is longer than {LONGEST_HOME} characters"
    return None


def _table(name: str) -> str:
    """Rules of one table of the kernel, for `iptables-restore`."""
    command = ["iptables-save", "-t", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if f"*{name}" in done.stdout else TABLES[name]
