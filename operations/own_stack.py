"""Settings of a command's own embedded stack, with other ports and another state folder."""

from __future__ import annotations

import os
import shutil

from errors import SettingsError
from local_stack import stack
from local_stack.ports import free_port_near
from runtime.config.env_file import setting_line
from settings import ENV_FILE_VARIABLE, Settings, load_settings
from spark_jobs.registry import pipelines_of


def own_settings(settings: Settings, command: str, why: str, **others: str) -> Settings:
    """Settings of a stack of its own, exported to child processes too.

    Stops and deletes what an interrupted run left behind; jars and tools are shared.

    Args:
        settings: The user's settings.
        command: Name of the command and of its folder under `MILLRACE_HOME`.
        why: What the command does to the stack, for the error.
        others: More settings, by name.

    Raises:
        SettingsError: the user's stack is not the embedded one.
        PipelineError: a declaration of an enabled pipeline has faults.
    """
    if settings.stack != "embedded":
        raise SettingsError(
            f"STACK: `make {command}` {why}, so it starts its own; unset STACK (embedded)."
        )
    offline = {k: v for p in pipelines_of(settings) for k, v in p.input.offline.items()}
    home = settings.millrace_home / command
    if home.exists():
        stack.down(settings.model_copy(update={"millrace_home": home}), lambda _: None)
        shutil.rmtree(home)
    home.mkdir(parents=True)
    for name in ("jars", "tools"):
        shared = settings.millrace_home / name
        shared.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(shared)
    ports: list[int] = []
    for taken in (9092, 9042, 27017, 5432):
        ports.append(free_port_near(taken, None, ports))
    values = {
        "MILLRACE_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports[0]}",
        "CASSANDRA_PORT": str(ports[1]),
        "MONGO_URI": f"mongodb://127.0.0.1:{ports[2]}",
        "POSTGRES_DSN": f"postgresql://millrace@127.0.0.1:{ports[3]}/millrace",
        "OUTPUT_PATH": str(home / "output"),
        **offline,
        "PIPELINES_PATH": str(settings.pipelines_path),
        "PIPELINES": ",".join(settings.pipelines),
        **others,
    }
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    env_file = home / f"{command}.env"
    lines = (setting_line(name, value) for name, value in values.items())
    env_file.write_text("".join(lines), encoding="utf-8")
    os.environ[ENV_FILE_VARIABLE] = str(env_file)
    return load_settings()
