"""Settings of the operator, from its environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from videofleet_operator.domain.model import Pace

_PREFIX = "VIDEOFLEET_"


class ConfigError(Exception):
    """The environment is not usable; the message names the variable, its value and what would be right."""


def _comma_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]


class Config(BaseModel):
    """Settings; each is the environment variable VIDEOFLEET_ plus the name in capitals."""

    model_config = ConfigDict(frozen=True)

    namespace: str = Field(min_length=1, description="Namespace of the operator: its Lease and its authority lie here.")
    identity: str = Field(min_length=1, description="Name of this replica; unique among all.")
    namespaces: CommaList = Field((), description="Namespaces that are served; none: all.")
    worker_image: str = Field(min_length=1, description="Image of workers whose pool names none.")
    lease_name: str = Field("videofleet-operator", min_length=1)
    authority_secret: str = Field("videofleet-worker-authority", min_length=1)
    reader_secret: str = Field(
        "", description="Secret that is made for those who read from workers, the gateway above all; empty: none."
    )
    licence_public_keys: Path | None = Field(None, description="Folder of PEM files with Ed25519 public keys.")
    licence_required: bool = Field(False, description="Nothing starts without a valid VideoLicense.")
    listen_host: str = "0.0.0.0"
    listen_port: int = Field(8080, ge=0, le=65535, description="Health and metrics.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    source_start_burst: int = Field(
        Pace().burst, ge=1, le=1000000, description="Jobs that may start at one source host at once."
    )
    source_starts_per_second: float = Field(Pace().per_second, gt=0, le=1000000, description="And how many after that.")
    lease_duration: float = Field(15, ge=3, le=300, description="Seconds.")


def load(environment: Mapping[str, str] = os.environ) -> Config:
    """The settings in the environment. Raises ConfigError."""
    values = {
        name: environment[_PREFIX + name.upper()]
        for name in Config.model_fields
        if environment.get(_PREFIX + name.upper(), "") != ""
    }
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [
            f"{_PREFIX}{str(item['loc'][0]).upper()}={values.get(str(item['loc'][0]), '')!r}: {item['msg']}"
            for item in error.errors()
        ]
        raise ConfigError("; ".join(lines)) from None
