"""Where a job's results are posted to, with what a worker needs to do it."""

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.outputs import OutputEvent


class RouterTarget(Document):
    """outputs.router with what is sent along. Never logged: holds credentials."""

    url: str | None = Field(None, repr=False)
    events_url: str | None = Field(None, repr=False)
    timeout: float = 15
    verify_tls: bool = True
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    body: dict[str, str] = Field(default_factory=dict)


class WebhookTarget(Document):
    """One of outputs.webhooks with the secret that its posts are signed with."""

    url: str = Field(repr=False)
    secret: str | None = Field(None, repr=False)
    interval: float | None = None
    include_best_shots: bool = False
    events: list[OutputEvent] = Field(default_factory=list)


class MqttTarget(Document):
    """outputs.mqtt with its credentials; `ca`: certificates (PEM) that the broker's is checked against."""

    host: str
    port: int
    tls: bool = False
    verify_tls: bool = True
    ca: str | None = None
    username: str | None = Field(None, repr=False)
    password: str | None = Field(None, repr=False)
    topic: str
    qos: int = 1
    interval: float | None = None
    include_best_shots: bool = False
    events: list[OutputEvent] = Field(default_factory=list)


class JobOutputs(Document):
    """Where a job's results are posted to; `labels` are those of the job, for the receivers."""

    router: RouterTarget | None = None
    webhooks: list[WebhookTarget] = Field(default_factory=list)
    mqtt: MqttTarget | None = None
    labels: dict[str, str] = Field(default_factory=dict)
