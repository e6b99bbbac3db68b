"""Types of settings: which values each accepts, and the messages that refuse others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from runtime.config.addresses import file_or_object, hadoop_place, mongo_uri, postgres_dsn
from runtime.config.sink_modules import SINK_MODULES
from runtime.config.topic_names import TOPIC_NAME

PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]
OUTPUT_FORMATS: Final = ("parquet", "json", "csv")
# Services of the embedded stack that `up` starts only on request.
EXTRA_SERVICES: Final = ("postgres", "hdfs")
HOST_PORT: Final = re.compile(r"[^\s:,/]+:([0-9]{1,5})")
LAST_PORT: Final = 65535
MEMORY: Final = re.compile(r"[1-9]\d*[kmgKMG]")
DATABASE: Final = re.compile(r"""[^/\\. "$*<>:|?]+""")
WEB: Final = re.compile(r"https?://.*", re.DOTALL)
CONTROL: Final = re.compile(r"[\0-\x1f\x7f-\x9f]")
SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
# Characters that break a path: Spark splits lists of folders at commas, Java splits class paths at
# colons, and Hadoop replaces `${…}`.
COMMA: Final = (",", "contains a comma, at which Spark splits it")
COLON: Final = (":", "contains a colon, at which Java splits it")
VARIABLE: Final = ("${", "contains `${`, which Hadoop takes for a variable")


def expanded(path: Path) -> Path:
    """The path with a user's folder in place of `~` or `~user`.

    Raises:
        ValueError: there is no such folder.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(
            f"`{path.parts[0]}` is the home folder of no user here; expected a path without it"
        ) from None


def from_project(path: Path) -> Path:
    """An absolute path; a relative one counts from the project's folder.

    Links stay: those of mounted secrets change while a job runs.
    """
    return PROJECT_ROOT / expanded(path)


def in_project(path: Path) -> Path:
    """Like `from_project`, without links."""
    return from_project(path).resolve()


def _local_in_project(value: str) -> str:
    return value if "://" in value else str(in_project(Path(value)))


def _local_expanded(value: str) -> str:
    return value if "://" in value else str(expanded(Path(value)))


def _without(*signs: tuple[str, str]) -> AfterValidator:
    def check(path: str | Path) -> str | Path:
        if fault := _unusable_character(str(path), signs):
            raise ValueError(f"{str(path)!r} {fault}; expected a path without it")
        return path

    return AfterValidator(check)


def _unusable_character(path: str, signs: Iterable[tuple[str, str]]) -> str | None:
    """Describes what makes a path unusable; None if it is usable."""
    if control := CONTROL.search(path):
        return f"contains a control character (U+{ord(control[0]):04X})"
    if SURROGATE.search(path):
        return "contains bytes that are not UTF-8"
    return next((name for sign, name in signs if sign in path), None)


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


def _host_port_list(value: str) -> str:
    servers = [server.strip() for server in value.split(",")]
    found = [HOST_PORT.fullmatch(server) for server in servers]
    if not all(each and 1 <= int(each[1]) <= LAST_PORT for each in found):
        raise ValueError(
            f"expected `host:port`, several separated by commas, each port from 1 to {LAST_PORT}"
        )
    return ",".join(servers)


def _in_capitals(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _names(value: Any) -> tuple[str, ...]:
    """Names from a list or separated by commas, in lower case, each once."""
    parts = value.split(",") if isinstance(value, str) else value
    names = (part.strip().lower() for part in parts)
    return tuple(dict.fromkeys(name for name in names if name))


def _sinks(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in SINK_MODULES]
    if unknown or not names:
        wrong = ", ".join(f"`{name}`" for name in unknown) or "nothing"
        raise ValueError(f"{wrong} is not a sink; valid: {', '.join(SINK_MODULES)}")
    return names


def _formats(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not set(names) <= {*OUTPUT_FORMATS}:
        raise ValueError(f"expected one or more of {', '.join(OUTPUT_FORMATS)}")
    return names


def _services(names: tuple[str, ...]) -> tuple[str, ...]:
    names = _names(name.removeprefix("+") for name in names)
    if unknown := [name for name in names if name not in EXTRA_SERVICES]:
        valid = ", ".join(f"+{name}" for name in EXTRA_SERVICES)
        raise ValueError(f"`{', '.join(unknown)}` is not an extra service; valid: {valid}")
    return names


Port = Annotated[int, Field(ge=1, le=LAST_PORT)]
Copies = Annotated[int, Field(ge=1, le=100)]
# Readers ask each shard of a key.
MOST_SHARDS: Final = 1_024
Shards = Annotated[int, Field(ge=1, le=MOST_SHARDS)]
# Per second; 0 is unlimited.
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
HostPorts = Annotated[str, AfterValidator(_host_port_list)]
TopicName = Annotated[str, _matching(TOPIC_NAME, "1 to 237 of letters, digits, `.`, `_`, `-`")]
Memory = Annotated[str, _matching(MEMORY, "a number and a unit, such as `1g` or `1536m`")]
DatabaseName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    _matching(DATABASE, 'a name without blanks and any of `/\\."$*<>:|?`'),
]
WebAddress = Annotated[str, _matching(WEB, "`http://host:port` or `https://host`")]
MongoAddress = Annotated[SecretStr, AfterValidator(mongo_uri)]
PostgresAddress = Annotated[SecretStr, AfterValidator(postgres_dsn)]
Consistency = Annotated[
    Literal["LOCAL_ONE", "LOCAL_QUORUM", "QUORUM", "ALL"], BeforeValidator(_in_capitals)
]
HomeFolder = Annotated[Path, AfterValidator(in_project), _without(COMMA, COLON, VARIABLE)]
JarsFolder = Annotated[Path, AfterValidator(in_project), _without(COLON)]
CheckpointPlace = Annotated[
    str,
    Field(min_length=1),
    _without(VARIABLE),
    AfterValidator(hadoop_place),
    AfterValidator(_local_expanded),
]
OutputPlace = Annotated[
    str, _without(VARIABLE), AfterValidator(hadoop_place), AfterValidator(_local_in_project)
]
FileOrObject = Annotated[str, AfterValidator(file_or_object), AfterValidator(_local_in_project)]
FromProject = Annotated[Path, AfterValidator(from_project)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Sinks = Annotated[Names, AfterValidator(_sinks)]
PipelineNames = Names
PipelinesFolder = Annotated[Path, AfterValidator(in_project)]
Formats = Annotated[Names, AfterValidator(_formats)]
Services = Annotated[Names, AfterValidator(_services)]
