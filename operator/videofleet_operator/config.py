"""Settings of the operator, from its environment."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from videofleet_api.environment import CommaList, settings_in
from videofleet_operator.domain.model import Pace


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


def load(environment: Mapping[str, str] | None = None) -> Config:
    """The settings in the environment. Raises ConfigError."""
    return settings_in(environment, Config)
