"""Types of settings: which values each accepts, and the messages that refuse others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from runtime.addresses import file_or_object, hadoop_place, mongo_uri, postgres_dsn
from runtime.sink_modules import SINK_MODULES
from runtime.topic_names import is_topic_name

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]
OUTPUT_FORMATS: Final = ("parquet", "json", "csv")
# Services of the embedded stack that `up` starts only on request.
EXTRA_SERVICES: Final = ("postgres", "hdfs")
HOST_PORT_PATTERN: Final = re.compile(r"[^\s:,/]+:\d{1,5}\Z")
MEMORY_PATTERN: Final = re.compile(r"[1-9]\d*[kmgKMG]\Z")
# Characters that break a path: Spark splits lists of folders at commas, Java splits class paths at
# colons, and Hadoop replaces `${…}`.
COMMA: Final = (",", "contains a comma, at which Spark splits it")
COLON: Final = (":", "contains a colon, at which Java splits it")
VARIABLE: Final = ("${", "contains `${`, which Hadoop takes for a variable")

P = TypeVar("P", str, Path)


def in_project(path: Path) -> Path:
    """An absolute path; a relative one is resolved in the project's folder."""
    return (PROJECT_ROOT / path.expanduser()).resolve()


def _output_folder(value: str) -> str:
    return value if "://" in value else str(in_project(Path(value)))


def _without(*signs: tuple[str, str]) -> Callable[[P], P]:
    def check(path: P) -> P:
        if fault := _unusable_character(str(path), signs):
            raise ValueError(f"{str(path)!r} {fault}; expected a path without it")
        return path

    return check


def _unusable_character(path: str, signs: Iterable[tuple[str, str]]) -> str | None:
    """Describes what makes a path unusable; None if it is usable."""
    for character in path:
        if unicodedata.category(character) == "Cc":
            return f"contains a control character (U+{ord(character):04X})"
        if unicodedata.category(character) == "Cs":
            return "contains bytes that are not UTF-8"
    return next((name for sign, name in signs if sign in path), None)


def _host_port_list(value: str) -> str:
    servers = [server.strip() for server in value.split(",")]
    if not all(HOST_PORT_PATTERN.match(server) for server in servers):
        raise ValueError("expected `host:port`, several separated by commas")
    return ",".join(servers)


def _topic_name(value: str) -> str:
    if not is_topic_name(value):
        raise ValueError("expected 1 to 237 letters, digits, `.`, `_`, `-`")
    return value


def _memory(value: str) -> str:
    if not MEMORY_PATTERN.match(value):
        raise ValueError("expected a number and a unit, such as `1g` or `1536m`")
    return value


def _database_name(value: str) -> str:
    if set(value) & set('/\\. "$*<>:|?'):
        raise ValueError('expected a name without blanks and without any of `/\\."$*<>:|?`')
    return value


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("expected `http://host:port` or `https://host`")
    return value


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


Port = Annotated[int, Field(ge=1, le=65535)]
Copies = Annotated[int, Field(ge=1, le=100)]
# Per second; 0 is unlimited.
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
HostPorts = Annotated[str, AfterValidator(_host_port_list)]
TopicName = Annotated[str, AfterValidator(_topic_name)]
Memory = Annotated[str, AfterValidator(_memory)]
DatabaseName = Annotated[str, Field(min_length=1, max_length=63), AfterValidator(_database_name)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
MongoAddress = Annotated[SecretStr, AfterValidator(mongo_uri)]
PostgresAddress = Annotated[SecretStr, AfterValidator(postgres_dsn)]
Consistency = Annotated[
    Literal["LOCAL_ONE", "LOCAL_QUORUM", "QUORUM", "ALL"], BeforeValidator(_in_capitals)
]
HomeFolder = Annotated[
    Path, AfterValidator(in_project), AfterValidator(_without(COMMA, COLON, VARIABLE))
]
JarsFolder = Annotated[Path, AfterValidator(in_project), AfterValidator(_without(COLON))]
CheckpointPlace = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(_without(VARIABLE)),
    AfterValidator(hadoop_place),
]
OutputPlace = Annotated[
    str,
    AfterValidator(_without(VARIABLE)),
    AfterValidator(_output_folder),
    AfterValidator(hadoop_place),
]
FileOrObject = Annotated[str, AfterValidator(file_or_object)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Sinks = Annotated[Names, AfterValidator(_sinks)]
Formats = Annotated[Names, AfterValidator(_formats)]
Services = Annotated[Names, AfterValidator(_services)]
