"""Commands for messages, complete so that users can paste them in the project's folder.

Commands that depend on no setting, such as `make up`, are written in the messages themselves.
"""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import PydanticBaseSettingsSource

from settings import ENV_FILE_VARIABLE, EXTRA_SERVICES, PROJECT_ROOT, Settings, load_settings

MILLRACE: Final = ".venv/bin/millrace"
PYTHON: Final = ".venv/bin/python"
# Settings that decide on which data and stores a command acts.
DECISIVE: Final = (
    *("stack", "millrace_home", "checkpoint_path", "mongo_database"),
    *("sinks", "output_path", "output_format", "pipelines_path"),
)

OF_DATA: Final = ("_topic", "_shards")


def replay(topic: str, sink: str, settings: Settings | None = None) -> str:
    """Writes all stored records of a topic into a sink that lacks them.

    Here and below, settings default to those of this process's environment.
    """
    settings = settings or load_settings()
    words = _words(settings, MILLRACE, "replay", "--topic", topic, "--sink", sink)
    if sink in EXTRA_SERVICES and settings.stack == "embedded":
        return f"{up(settings, sink)} && {words}"
    return words


def up(settings: Settings, service: str) -> str:
    """Starts the services of this stack, including an extra one that must be requested."""
    command = _words(settings, "make", "up")
    return command if settings.starts(service) else f"SERVICES=+{service} {command}"


def rebuild(settings: Settings | None = None) -> str:
    """Rebuilds the aggregates from the records in Cassandra."""
    return _words(settings, MILLRACE, "rebuild", "aggregates")


def reset(pipeline: str, settings: Settings | None = None) -> str:
    """Deletes a pipeline's stored data, with that of its parts, of which one may be named."""
    return _words(settings, "make", "reset", f"PIPELINE={pipeline.partition('-')[0]}")


def verify(settings: Settings | None = None) -> str:
    """Proves that nothing is lost or doubled."""
    return _words(settings, "make", "verify")


def show(what: str, settings: Settings | None = None) -> str:
    """Shows a topic, a table, a collection or files."""
    return _words(settings, "make", "show", f"WHAT={what}")


def job(pipeline: str, settings: Settings | None = None, *options: str) -> str:
    """Processes the unread messages of a pipeline's topic."""
    return _words(settings, MILLRACE, "job", pipeline, "--available-now", *options)


def run(option: str) -> str:
    """Runs all pipelines, with one option."""
    return _words(None, MILLRACE, "run", option)


def again(option: str, settings: Settings | None = None) -> str:
    """The running command with one more option.

    The option alone if the command cannot be pasted, as in a driver started by spark-submit.
    """
    words = _present_command()
    return _words(settings, *words, *shlex.split(option)) if words else option


def resumed(options: Mapping[str, object]) -> str:
    """The running command with these options in place of its own of those names.

    The options alone if the command cannot be pasted.
    """
    words, own = _present_command(), list[str]()
    while words:
        name, equals, _ = (word := words.pop(0)).partition("=")
        if name not in options:
            own.append(word)
        elif not equals and words:
            words.pop(0)
    new = [text for name, value in options.items() for text in (name, str(value))]
    at = own.index("--") if "--" in own else len(own)
    return _words(None, *own[:at], *new, *own[at:]) if own else " ".join(new)


def with_sinks(settings: Settings, sinks: tuple[str, ...]) -> str | None:
    """The running command with other sinks, None if it cannot be pasted."""
    if not (words := _present_command()):
        return None
    if any(word.split("=")[0] == "--sinks" for word in words):
        words += ["--sinks", ",".join(sinks)]
    return _words(settings.model_copy(update={"sinks": sinks}), *words)


def rest_of_file(module: str, source: str, count: int, topic: str, settings: Settings) -> str:
    """Sends those records of a file that were not sent yet; at most `count`, all if 0."""
    words = ["-m", module, "--source", source, "--count", str(count), "--topic", topic]
    return _words(None, PYTHON, *words, "--bootstrap-servers", settings.kafka_bootstrap_servers)


def _present_command() -> list[str]:
    program, *words = sys.argv
    module = ".".join(Path(program).with_suffix("").parts[-2:])
    if Path(program).name == "millrace" or module == "operations.cli":
        return [MILLRACE, *words]
    is_ours = module.startswith(("producers.", "spark_jobs."))
    if is_ours and "-m" in sys.orig_argv[1:]:
        return [PYTHON, "-m", module, *words]
    return []


def cqlsh(statement: str, settings: Settings | None = None) -> str:
    """Runs a CQL statement without double quotes and dollar signs."""
    return f'{_words(settings, "make", "cqlsh")} CQL="{statement}"'


def table_again(table: str, topic: str, settings: Settings | None = None) -> str:
    """Makes a table of Cassandra again and fills it with all stored records of a topic."""
    drop = cqlsh(f"DROP TABLE {table}", settings)
    return f"{drop} && {_words(settings, 'make', 'up')} && {replay(topic, 'cassandra', settings)}"


def mongosh(statement: str, settings: Settings | None = None) -> str:
    """Runs a statement without double quotes and dollar signs in the Mongo shell."""
    return f'{_words(settings, "make", "mongosh")} EVAL="{statement}"'


def exported(settings: Settings) -> str | None:
    """Exports the settings that a command in a shell would not find by itself; None if none."""
    given = _given(settings)
    return f"export {_assigned(given)}" if given else None


def nearest(name: str, known: Iterable[str]) -> str:
    """A question, after a blank, that names a similar word; empty if there is none."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if not found and len(name) > 2:
        found = [each for each in by_lower if name.lower() in each][:1]
    return f" Did you mean `{by_lower[found[0]]}`?" if found else ""


def _words(settings: Settings | None, *words: str) -> str:
    """A command line preceded by the settings that it would not find by itself."""
    given = _assigned(_given(settings or load_settings()))
    return " ".join([*([given] if given else []), *map(shlex.quote, words)])


def _assigned(given: Mapping[str, str]) -> str:
    return " ".join(f"{name}={shlex.quote(text)}" for name, text in given.items())


def _given(settings: Settings) -> dict[str, str]:
    env_file = os.environ.get(ENV_FILE_VARIABLE)
    try:
        usual: Any = _Usual(_env_file=env_file or PROJECT_ROOT / ".env")
    except ValidationError:
        usual = None
    given = {
        name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
        for name in (*DECISIVE, *(n for n in type(settings).model_fields if n.endswith(OF_DATA)))
        if (value := getattr(settings, name)) != getattr(usual, name, None)
    }
    return given | ({ENV_FILE_VARIABLE: env_file} if env_file else {})


class _Usual(Settings):
    """The settings of a command in a shell that sets none of them."""

    @classmethod
    def settings_customise_sources(
        cls, *args: Any, **sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given, _, env_file, _ = super().settings_customise_sources(*args, **sources)
        return given, env_file
