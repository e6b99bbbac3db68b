"""Settings of pipelines: which there are, and those of the built-in ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

import runtime.config.types as kinds
from runtime.config.env_file import EnvFile


class SecretFiles(SecretsSettingsSource):
    """Files of secrets; as with variables, an empty one counts as absent."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value, or None; its key; whether it is JSON."""
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


class PipelinesPlace(BaseSettings):
    """Which pipelines there are, which decides on other settings (`<NAME>_TOPIC`)."""

    model_config = SettingsConfigDict(
        env_file=None, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual ones, in their order."""
        env_file = EnvFile(settings_cls, getattr(dotenv_settings, "env_file", None))
        files = SecretFiles(settings_cls, getattr(file_secret_settings, "secrets_dir", None))
        return init_settings, env_settings, env_file, files

    pipelines_path: kinds.PipelinesFolder = Field(
        Path("pipelines"), description="folder of your own pipelines, each a folder of its name"
    )
    pipelines: kinds.PipelineNames = Field(
        (), description="names of the enabled pipelines, with commas; all that exist when absent"
    )


class BuiltInPipelines(PipelinesPlace):
    """Topics and producers of the pipelines that come with the platform."""

    tickets_topic: kinds.TopicName = Field("client_tickets", description="topic of the tickets")
    profiles_topic: kinds.TopicName = Field("users_profiles", description="topic of the profiles")
    customers_topic: kinds.TopicName = Field(
        "customers-raw", description="topic of the customers' rows"
    )
    customers_usa_topic: kinds.TopicName = Field(
        "customers-usa", description="topic that receives the valid customers of the USA"
    )
    customers_alerts_topic: kinds.TopicName = Field(
        "customers-alerts", description="topic that receives the incomplete customers"
    )

    tickets_count: int = Field(
        100, ge=0, description="tickets that the producer sends; 0 = endless"
    )
    tickets_rate: kinds.Rate = Field(
        10,
        description="tickets per second, and records of each other pipeline in `make stream`;"
        " 0 = unlimited",
    )
    tickets_by_team_shards: kinds.Shards = Field(
        1,
        description="partitions among which `support.tickets_by_team` divides the tickets of a team"
        " and hour; docs/scaling.md says which rate needs how many",
    )
    profiles_count: int = Field(
        100, ge=0, description="profiles that the producer sends; 0 = endless"
    )
    profiles_per_request: int = Field(
        500, ge=1, le=5000, description="profiles asked for in one request"
    )
    profiles_pause_seconds: float = Field(
        1, ge=0, description="pause between two requests to the API"
    )
    profiles_source: Literal["auto", "api", "offline"] = Field(
        "auto", description="`api`, `offline`, or `auto`: the API, else offline"
    )
    customers_source: kinds.FileOrObject | None = Field(
        None,
        description="CSV of customers: a file or `s3://bucket/key`, which `make run` sends whole"
        " unless `CUSTOMERS=` says how many rows; a made-up one when absent",
    )
    customers_rate: kinds.Rate = Field(
        0, description="customers per second; 0 = unlimited, in `make stream` as `TICKETS_RATE`"
    )

    @property
    def stream_rate(self) -> float:
        """Records per second of the producers of `make stream` that have no rate of their own."""
        return self.tickets_rate
